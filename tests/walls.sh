#!/bin/sh
# walls.sh: who may include whom. Reads the include lines; prints each that goes through a wall.
#
# A room may include its own files, what is listed beside it, and the system's headers that are not
# fenced below. (docs/architecture.md has the picture.)
set -eu
cd "$(dirname "$0")/.."
broken=0

complain() {
    echo "wall: $1" >&2
    broken=1
}

# includes FILE...: "file<TAB>header" for each #include "..." line
includes() {
    grep -HE '^#include "' "$@" | sed -E 's/^([^:]+):#include "([^"]+)".*/\1\t\2/'
}

# room FOLDER-PATTERN ALLOWED-PATTERN
room() {
    files=$(find $1 -name '*.[ch]' 2>/dev/null)
    [ -n "$files" ] || { complain "no files in $1"; return; }
    # shellcheck disable=SC2086
    through=$(includes $files | grep -vE "	($2)" || true)
    [ -z "$through" ] || complain "$1 may not include:
$through"
}

doors='include/storage\.h|include/cache\.h'
room core/base 'core/base/'
room core/policy "core/(base|policy)/|include/(check|storage)\.h|filters/table\.h"
room core/store "core/(base|store)/|core/policy/settings\.def|$doors"
room core/data "core/(base|policy|store|data)/|include/(check|storage)\.h"
room core/lint "core/(base|policy|store|data|lint)/|include/storage\.h"
room core/server "core/(base|policy|store|data|lint|server)/|include/|filters/table\.h"
room filters 'filters/|include/check\.h|core/base/|core/policy/(settings|reply|snapshot)\.h'
room cache 'include/cache\.h|core/base/hash\.h'
for driver in drivers/*/; do
    room "${driver%/}" "${driver}|include/(storage|steps)\.h"
done
room tests/drivers "include/storage\.h|[a-z_]+\.h"

# A door includes nothing but C's own headers, and compiles alone.
for door in include/storage.h include/cache.h; do
    bad=$(grep -E '^#include' "$door" | grep -vE '<(stdbool|stddef|stdint)\.h>' || true)
    [ -z "$bad" ] || complain "$door: $bad"
    printf '#include "%s"\n' "$door" | ${CC:-gcc} -std=c11 -Wall -Wextra -Wpedantic -Werror -I. \
        -fsyntax-only -x c - || complain "$door does not compile alone"
done

# One library, the files that may know it.
fence() {
    bad=$(grep -rlE "^#include <($1)>" core filters cache drivers | grep -vE "$2" || true)
    [ -z "$bad" ] || complain "<$1> is for $2 only: $bad"
}
fence 'yaml\.h' '^core/base/yaml\.c$'
fence 'sodium.*' '^core/base/hash\.c$'
fence 'pcre2.*' '^core/base/pattern\.c$'
fence 'idn2\.h|uni(case|norm|str|ctype|conv)\.h' '^core/base/idn\.c$'
fence 'sqlite3\.h' '^drivers/sqlite/'
fence 'uv\.h' '^core/server/'
fence 'microhttpd\.h' '^core/server/http\.c$'
fence 'dlfcn\.h' '^core/store/loader\.c$'
fence 'syslog\.h' '^core/base/log\.c$'
fence 'libpq-fe\.h|mysql.*|mongoc.*|hiredis.*' '^drivers/(pgsql|mysql|mongo)/|^cache/redis\.c$'

# Calls without a bound have a bounded sister.
bad=$(grep -rnE '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|alloca)\(' \
    core filters cache drivers include bench tests --include='*.[ch]' || true)
[ -z "$bad" ] || complain "$bad"

[ "$broken" -eq 0 ] && echo "walls: all stand"
exit "$broken"
