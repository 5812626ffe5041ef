# tests.mk: building and running the tests. `make check` installs what it needs, builds, runs all of them;
# its last line is `N passed, N failed, N skipped`.

TESTS = $(BUILD)/tests/conformance $(BUILD)/tests/notices $(BUILD)/tests/drivers/memory.so

CONFORMANCE_SOURCES = $(filter-out tests/conformance/notices.c,$(wildcard tests/conformance/*.c))
MEMORY_SOURCES = $(wildcard tests/drivers/memory/*.c)

$(BUILD)/tests/drivers/memory.so: $(call pic_objects,$(MEMORY_SOURCES)) drivers/exports.map
	$(call link_driver,-lpthread)

$(BUILD)/tests/conformance: $(call objects,$(CONFORMANCE_SOURCES))
	@mkdir -p $(@D)
	$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka -ldl -lpthread

$(BUILD)/tests/notices: $(call objects,tests/conformance/notices.c)
	@mkdir -p $(@D)
	$(CC) -pie $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka

tests: all $(TESTS)

check: deps-check
	$(MAKE) tests
	$(PYTHON) -B tests/run.py --build $(BUILD)

# The same tests in builds that watch memory, undefined behaviour and threads. Live mail and the walls are
# the same in every build.
SANITIZED = unit conformance fuzz
sanitize: deps-check
	$(MAKE) BUILD=build-asan SANITIZE=address,undefined tests
	$(MAKE) BUILD=build-tsan SANITIZE=thread tests
	$(PYTHON) -B tests/run.py --build build-asan $(SANITIZED) replay
	$(PYTHON) -B tests/run.py --build build-tsan $(SANITIZED) replay

# --- Lint --------------------------------------------------------------------------------------------

LINT_SOURCES = $(CORE_SOURCES) core/server/main.c $(SQLITE_SOURCES)

lint: deps-check
	$(MAKE) BUILD=build-lint-gcc CC=gcc CFLAGS='-O2 -Werror' EXTRA_CFLAGS='-Wlogical-op -Wduplicated-cond -Wnull-dereference' tests bench-tools
	$(MAKE) BUILD=build-lint-clang CC=clang CFLAGS='-O2 -Werror' EXTRA_CFLAGS='-Wcomma -Wassign-enum -Wunreachable-code' tests
	clang-tidy --quiet --warnings-as-errors='*' $(LINT_SOURCES) -- -std=c11 -D_GNU_SOURCE -I. -Iinclude
	$(MAKE) format-check
	scripts/man-settings.py --check
	scripts/sizes.sh

man:
	scripts/man-settings.py

.PHONY: tests check sanitize lint man
