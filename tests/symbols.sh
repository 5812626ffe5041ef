#!/bin/sh
# symbols.sh BUILD: a driver exports its name plate and nothing else; a file foo.c of the core exports
# foo_* (or what its header foo.h declares) and nothing else.
set -eu
build=$1
broken=0
for driver in "$build"/drivers/*.so; do
    name=$(basename "$driver" .so)
    exported=$(nm -D --defined-only "$driver" | awk '{print $3}' | grep -v '^__' || true)
    if [ "$exported" != "storage_driver_$name" ]; then
        echo "symbols: $driver exports: $exported" >&2
        broken=1
    fi
done
for object in $(find "$build/obj/core" -name '*.o'); do
    source=${object#"$build/obj/"}
    header=${source%.o}.h
    stem=$(basename "$source" .o)
    for symbol in $(nm --defined-only -g "$object" | awk '$2 ~ /[TDBRV]/ {print $3}' | grep -v '^__'); do
        case $symbol in
        "$stem"*|main) continue ;;
        esac
        folder=$(dirname "$source")
        grep -qw "$symbol" "$header" "$folder"/*.h filters/table.h include/*.h 2>/dev/null && continue
        echo "symbols: $source exports $symbol, which no header of its room declares" >&2
        broken=1
    done
done
[ "$broken" -eq 0 ] && echo "symbols: as they should be"
exit "$broken"
