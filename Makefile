# mongrey: make run, make check, make bench. docs/architecture.md says what is where.
#
#   make               build/mongrey-server and build/drivers/*.so (DRIVERS=sqlite: only this one)
#   make run           installs what the build needs, builds, starts mongrey on SQLite
#   make check         installs what the tests need, builds, runs them all
#   make bench         speed beside a null server and postgrey (bench-quick: one minute)
#   make bench-lists   a look-up in lists of 10 and of 100,000 entries
#   make sanitize      the tests under ASan+UBSan and under TSan
#   make fuzz          FUZZ_SECONDS of libFuzzer on each parser
#   make lint          gcc's and clang's warnings as errors, clang-tidy, walls, symbols, formatting
#   make format        clang-format on all sources
#   make install       DESTDIR, PREFIX
#   make dist          dist/mongrey-server-DRIVER for each driver, and mongrey-server-all

MAKEFLAGS += --no-builtin-rules --no-print-directory
# V=1 shows whole commands.
ifdef V
Q =
else
Q = @echo "  $(@F)";
endif
SHELL = /bin/sh
PYTHON = /usr/bin/python3

BUILD ?= build
CC = gcc
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
DRIVER_DIR ?= $(PREFIX)/lib/mongrey/drivers

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wcast-qual -Wvla -Wformat=2 -Wundef -Wwrite-strings -Wpointer-arith
HARDEN = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
LDHARDEN = -Wl,-z,relro -Wl,-z,now

# SANITIZE=address,undefined or SANITIZE=thread, with a BUILD of its own.
ifdef SANITIZE
CFLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
HARDEN = -fPIE
LDFLAGS += -fsanitize=$(SANITIZE)
endif

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. -Iinclude $(WARNINGS) $(HARDEN) $(CFLAGS) $(EXTRA_CFLAGS) \
	-DMONGREY_DRIVER_DIR='"$(DRIVER_DIR)"'

CORE_LIBS = -luv -lyaml -lsodium -lpcre2-8 -lidn2 -lunistring -lmicrohttpd -lpthread -ldl

# A driver's name is its folder's; its client library's flags and libraries stand here.
DRIVERS ?= $(patsubst drivers/%/driver.c,%,$(wildcard drivers/*/driver.c))
package_cflags = $(foreach p,$(1),$(shell pkg-config --cflags $(p) 2>/dev/null | sed 's/-I/-isystem /g'))
pgsql_CFLAGS := $(call package_cflags,libpq)
mysql_CFLAGS := $(call package_cflags,libmariadb)
mongo_CFLAGS := $(call package_cflags,libmongoc-1.0)
sqlite_LIBS = -lsqlite3
pgsql_LIBS = -lpq
mysql_LIBS = -lmariadb
mongo_LIBS = -lmongoc-1.0 -lbson-1.0

CORE_SOURCES = $(filter-out core/server/main.c,$(wildcard core/*/*.c)) $(wildcard filters/*.c) \
	$(wildcard cache/*.c)
HEADERS = $(wildcard core/*/*.h core/*/*.def filters/*.h include/*.h drivers/*/*.h)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
pic_objects = $(patsubst %.c,$(BUILD)/pic/%.o,$(1))

all: $(BUILD)/mongrey-server $(DRIVERS:%=$(BUILD)/drivers/%.so)

# Another DRIVER_DIR makes the one file that holds it anew.
$(BUILD)/driver-dir: always
	@mkdir -p $(@D); echo '$(DRIVER_DIR)' | cmp -s - $@ || echo '$(DRIVER_DIR)' > $@
$(BUILD)/obj/core/store/loader.o: $(BUILD)/driver-dir

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/pic/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $($(word 2,$(subst /, ,$<))_CFLAGS) -fPIC -MMD -MP -c -o $@ $<

$(BUILD)/libcore.a: $(call objects,$(CORE_SOURCES))
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/mongrey-server: $(call objects,core/server/main.c) $(BUILD)/libcore.a
	$(Q)$(CC) -pie $(CFLAGS) $(LDFLAGS) $(LDHARDEN) -o $@ $^ $(CORE_LIBS)

# The loader refuses a driver that others may write: the mode is set whatever the umask.
define link_driver
@mkdir -p $(@D) && chmod go-w $(@D)
$(Q)$(CC) -shared $(CFLAGS) $(LDFLAGS) $(LDHARDEN) -Wl,--version-script=drivers/exports.map -o $@ \
	$(filter %.o,$^) $(1)
@chmod go-w $@
endef

define driver_rule
$(BUILD)/drivers/$(1).so: $(call pic_objects,$(wildcard drivers/$(1)/*.c)) drivers/exports.map
	$$(call link_driver,$$($(1)_LIBS))
endef
$(foreach driver,$(DRIVERS),$(eval $(call driver_rule,$(driver))))

# How a driver is compiled and linked, for tests that build a broken one.
driver-flags-%:
	@echo '$(CC) -std=c11 -D_GNU_SOURCE -O1 $($*_CFLAGS) $($*_LIBS)'

-include $(shell find $(BUILD)/obj $(BUILD)/pic -name '*.d' 2>/dev/null)

include tests/tests.mk
include bench/bench.mk

# --- On a fresh machine ----------------------------------------------------------------------------

RUN_DIR ?= run
RUN_PORT ?= 9999

run: deps-build
	$(MAKE) all
	RUN_PORT=$(RUN_PORT) scripts/run.sh $(BUILD) $(RUN_DIR)

deps-build deps-check deps-bench:
	@scripts/install-deps.sh $(@:deps-%=%)

# --- Care ------------------------------------------------------------------------------------------

C_FILES = $(wildcard core/*/*.[ch] filters/*.[ch] include/*.h cache/*.[ch] drivers/*/*.[ch] \
	tests/*/*.[ch] tests/*/*/*.[ch] bench/*.[ch])

format:
	clang-format -i $(C_FILES)

format-check:
	@clang-format --dry-run -Werror $(C_FILES)

clean:
	rm -rf build build-* dist

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(DRIVER_DIR) $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(BUILD)/mongrey-server $(DESTDIR)$(PREFIX)/sbin/
	install -m 644 $(BUILD)/drivers/*.so $(DESTDIR)$(DRIVER_DIR)/
	install -m 644 packaging/man/mongrey-server.8 $(DESTDIR)$(PREFIX)/share/man/man8/

# A folder for each driver, with no other database's library.
dist: all
	packaging/dist.sh $(BUILD) dist $(DRIVERS)

.PHONY: always all dist run format format-check clean install deps-build deps-check deps-bench
.DEFAULT_GOAL := all
