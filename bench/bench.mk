# bench.mk: the bench's own programs; never built with sanitizers.

BENCH_FLAGS = -O2 -std=c11 -D_GNU_SOURCE $(WARNINGS)
BENCH_LOADGEN = $(addprefix bench/,loadgen.c options.c traffic.c histogram.c answer.c)

bench-tools: build/bench/loadgen build/bench/null_server build/bench/slow_sync.so

build/bench/loadgen: $(BENCH_LOADGEN) $(wildcard bench/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_FLAGS) -o $@ $(BENCH_LOADGEN)

build/bench/null_server: bench/null_server.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_FLAGS) -o $@ $<

build/bench/slow_sync.so: bench/slow_sync.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_FLAGS) -fPIC -shared -o $@ $< -ldl

build/bench/lists: build/obj/bench/lists.o $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)

BENCH_FILL = fill.o pages.o rows.o samples.o
build/bench/fill: $(BENCH_FILL:%=build/obj/bench/%) $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)

# Greylist rows in any number in any store: build/bench/fill --url URL --rows N.
bench-fill: all build/bench/fill

# A look-up in lists of 10 and of 100,000 entries.
bench-lists: build/bench/lists
	build/bench/lists

bench: deps-bench
	$(MAKE) all bench-tools
	$(PYTHON) -B bench/run.py

bench-quick: deps-bench
	$(MAKE) all bench-tools
	$(PYTHON) -B bench/run.py --quick

.PHONY: bench bench-quick bench-fill bench-lists bench-tools

# New keys a second in any store: build/bench/bulk DRIVER.so URL ROWS BATCH SESSIONS
build/bench/bulk: build/obj/bench/bulk.o $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)
