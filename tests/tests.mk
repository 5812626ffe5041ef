# tests.mk: building and running the tests. `make check` installs what it needs, builds, runs all of them;
# its last line is `N passed, N failed, N skipped`.

UNIT_TESTS = $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
FUZZERS = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FAKES = fine oldabi small misnamed nosymbol otherscheme

TESTS = $(BUILD)/tests/conformance $(BUILD)/tests/poke $(BUILD)/tests/mongo-gateway $(BUILD)/tests/notices \
	$(BUILD)/tests/drivers/memory.so \
	$(UNIT_TESTS:%=$(BUILD)/tests/unit/%) $(FAKES:%=$(BUILD)/tests/fakes/%.so) \
	$(BUILD)/tests/fakes/scripted.so \
	$(FUZZERS:%=$(BUILD)/tests/replay/%)

CONFORMANCE_SOURCES = $(filter-out tests/conformance/notices.c,$(wildcard tests/conformance/*.c))
MEMORY_SOURCES = $(wildcard tests/drivers/memory/*.c)

$(BUILD)/tests/drivers/memory.so: $(call pic_objects,$(MEMORY_SOURCES)) drivers/exports.map
	$(call link_driver,-lpthread)

# Written from docs/writing-a-driver.md and include/storage.h alone, to prove that they suffice.
$(BUILD)/tests/drivers/lmdb.so: $(call pic_objects,$(wildcard tests/drivers/lmdb/*.c)) drivers/exports.map
	$(call link_driver,-llmdb -lpthread)

$(BUILD)/tests/conformance: $(call objects,$(CONFORMANCE_SOURCES))
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka -ldl -lpthread

$(BUILD)/tests/notices: $(call objects,tests/conformance/notices.c)
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka

# A driver by hand, for tests of faults.
$(BUILD)/tests/poke: $(BUILD)/obj/tests/stores/poke.o $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)

# MongoDB's protocol before PostgreSQL with DocumentDB: the server that the races of the mongo driver are tested on.
$(BUILD)/obj/tests/stores/gateway.o: ALL_CFLAGS += $(mongo_CFLAGS) $(pgsql_CFLAGS)
$(BUILD)/tests/mongo-gateway: $(call objects,tests/stores/gateway.c)
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ -lbson-1.0 -lpq -lpthread

# Drivers that the loader must refuse, each for its own reason.
FAKE_fine = -DFAKE_SYMBOL=storage_driver_fine -DFAKE_NAME='"fine"' -DFAKE_SCHEME='"fine"'
FAKE_oldabi = -DFAKE_SYMBOL=storage_driver_oldabi -DFAKE_NAME='"oldabi"' -DFAKE_SCHEME='"oldabi"' -DFAKE_ABI=99
FAKE_small = -DFAKE_SYMBOL=storage_driver_small -DFAKE_NAME='"small"' -DFAKE_SCHEME='"small"' -DFAKE_SIZE=8
FAKE_misnamed = -DFAKE_SYMBOL=storage_driver_misnamed -DFAKE_NAME='"fine"' -DFAKE_SCHEME='"misnamed"'
FAKE_nosymbol = -DFAKE_SYMBOL=nothing -DFAKE_NAME='"nosymbol"' -DFAKE_SCHEME='"nosymbol"'
FAKE_otherscheme = -DFAKE_SYMBOL=storage_driver_otherscheme -DFAKE_NAME='"otherscheme"' -DFAKE_SCHEME='"fine"'

$(BUILD)/tests/fakes/%.so: tests/unit/fake_driver.c include/storage.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(FAKE_$*) -fPIC -shared -o $@ $<

$(BUILD)/tests/fakes/scripted.so: tests/unit/scripted_driver.c include/storage.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -shared -o $@ $<
	@chmod go-w $@

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(CORE_LIBS)

# This one looks into the driver.
$(BUILD)/tests/unit/test_sqlite_search: $(BUILD)/obj/tests/unit/test_sqlite_search.o \
	$(call pic_objects,$(wildcard drivers/sqlite/*.c)) $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(sqlite_LIBS) $(CORE_LIBS)

# The fuzzers' corpora, without libFuzzer.
$(BUILD)/tests/replay/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)

tests: all $(TESTS)

check: deps-check
	$(MAKE) tests
	$(PYTHON) -B tests/run.py --build $(BUILD)

# The conformance suite and tests of faults and of several hosts on real database servers. Some minutes each, so
# they are not part of `make check` yet.
check-stores: deps-check
	$(MAKE) tests $(BUILD)/tests/drivers/lmdb.so
	$(PYTHON) -B tests/run.py --build $(BUILD) stores

# The same tests in builds that watch memory, undefined behaviour and threads. Live mail and the walls are
# the same in every build.
SANITIZED = unit conformance fuzz
sanitize: deps-check
	$(MAKE) BUILD=build-asan SANITIZE=address,undefined tests
	$(MAKE) BUILD=build-tsan SANITIZE=thread tests
	$(PYTHON) -B tests/run.py --build build-asan $(SANITIZED) replay
	$(PYTHON) -B tests/run.py --build build-tsan $(SANITIZED) replay

# --- Fuzzing ------------------------------------------------------------------------------------------

FUZZ_SECONDS ?= 60
FUZZ_DICT_request = -dict=$(BUILD)/fuzz/attributes.dict
FUZZ_DICT_spelled = -dict=$(BUILD)/fuzz/attributes.dict
FUZZ_DICT_settings = -dict=$(BUILD)/fuzz/settings.dict
FUZZ_DICT_fixtures = -dict=$(BUILD)/fuzz/settings.dict

$(BUILD)/fuzz/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $^ $(CORE_LIBS)

$(BUILD)/fuzz/%.dict: core/policy/%.def tests/fuzz/dictionary.py
	@mkdir -p $(@D)
	$(PYTHON) -B tests/fuzz/dictionary.py $* $< > $@

fuzz: deps-check
	$(MAKE) CC=clang BUILD=build-fuzz SANITIZE=fuzzer-no-link,address,undefined fuzz-run

fuzz-run: $(FUZZERS:%=$(BUILD)/fuzz/fuzz_%) $(BUILD)/fuzz/attributes.dict $(BUILD)/fuzz/settings.dict
	@mkdir -p $(FUZZERS:%=$(BUILD)/fuzz/found/%)
	@failed=; $(foreach f,$(FUZZERS),echo "fuzzing $(f), $(FUZZ_SECONDS) s"; \
	  $(BUILD)/fuzz/fuzz_$(f) -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	  -artifact_prefix=$(BUILD)/fuzz/$(f)- $(FUZZ_DICT_$(f)) \
	  $(BUILD)/fuzz/found/$(f) tests/fuzz/corpus/$(f) >$(BUILD)/fuzz/$(f).log 2>&1 || \
	  { tail -n 20 $(BUILD)/fuzz/$(f).log; failed="$$failed $(f)"; };) \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

.SECONDARY:
.PHONY: fuzz fuzz-run

# --- Lint --------------------------------------------------------------------------------------------

LINT_SOURCES = $(CORE_SOURCES) core/server/main.c $(wildcard drivers/*/*.c)
LINT_CFLAGS = $(pgsql_CFLAGS) $(mysql_CFLAGS) $(mongo_CFLAGS)

lint: deps-check
	$(MAKE) BUILD=build-lint-gcc CC=gcc CFLAGS='-O2 -Werror' EXTRA_CFLAGS='-Wlogical-op -Wduplicated-cond -Wnull-dereference' tests bench-tools
	$(MAKE) BUILD=build-lint-clang CC=clang CFLAGS='-O2 -Werror' EXTRA_CFLAGS='-Wcomma -Wunreachable-code' tests
	@printf '%s\n' $(LINT_SOURCES) | xargs -P "$$(nproc)" -n 10 sh -c \
	  'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- -std=c11 -D_GNU_SOURCE -I. -Iinclude $(LINT_CFLAGS)' tidy
	$(MAKE) format-check
	scripts/man-settings.py --check
	scripts/manual.py --check
	scripts/metrics-doc.py --check
	scripts/findings-doc.py --check
	scripts/sizes.sh

man:
	scripts/man-settings.py
	scripts/manual.py
	scripts/findings-doc.py
	scripts/metrics-doc.py

.PHONY: tests check check-stores sanitize lint man
