#!/bin/sh
# dist.sh BUILD DIST DRIVER...: gathers the artifacts as folders: DIST/mongrey-server-DRIVER for each driver, and
# DIST/mongrey-server-all with all of them. Each holds the program, its driver and the manual page, runs where it
# stands, and says in NEEDS which libraries it wants of the system.
set -eu
build=$1 dist=$2
shift 2

libraries() {
    objdump -p "$@" | awk '$1 == "NEEDED" {print $2}' | sort -u
}

# gather NAME DRIVER...
gather() {
    name=$1 folder=$dist/$1
    shift
    rm -rf "$folder"
    install -d -m 755 "$folder/drivers"
    install -s -m 755 "$build/mongrey-server" "$folder/"
    for driver in "$@"; do
        install -m 644 "$build/drivers/$driver.so" "$folder/drivers/"
        strip --strip-unneeded "$folder/drivers/$driver.so"
    done
    install -m 644 packaging/man/mongrey-server.8 LICENSE "$folder/"
    libraries "$folder/mongrey-server" "$folder"/drivers/*.so >"$folder/NEEDS"
    (cd "$folder" && find . -type f ! -name 'SHA256SUMS*' | sort | xargs sha256sum) >"$folder/SHA256SUMS.new"
    mv "$folder/SHA256SUMS.new" "$folder/SHA256SUMS"
    echo "$folder: $(du -sk "$folder" | cut -f1) kB"
}

for driver in "$@"; do
    gather "mongrey-server-$driver" "$driver"
done
gather mongrey-server-all "$@"
