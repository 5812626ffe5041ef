#!/bin/sh
# dist.sh BUILD: are the artifacts what they promise? Each holds its own driver alone, needs no other database's
# library, itself or through a library that it needs, refuses the other stores by a clear error, and runs.
set -u
build=$1 dist=$(mktemp -d) passed=0 failed=0
trap 'rm -rf "$dist"' EXIT
drivers=$(cd "$build/drivers" && ls ./*.so | sed 's,^\./\(.*\)\.so$,\1,')

ok() {
    passed=$((passed + 1))
}

bad() {
    failed=$((failed + 1))
    echo "dist: $1"
}

# check WHAT COMMAND...
check() {
    what=$1
    shift
    if "$@"; then ok; else bad "$what"; fi
}

library_of() {
    case $1 in
    sqlite) echo libsqlite3 ;;
    pgsql) echo libpq ;;
    mysql) echo 'libmariadb libmysqlclient' ;;
    mongo) echo 'libmongoc libbson' ;;
    esac
}

scheme_of() {
    case $1 in
    pgsql) echo 'postgresql://127.0.0.1:1/x' ;;
    mysql) echo 'mysql://127.0.0.1:1/x' ;;
    mongo) echo 'mongodb://127.0.0.1:1/x' ;;
    *) echo "$1:///$dist/x.db" ;;
    esac
}

needs() {
    ldd "$1/mongrey-server" "$1"/drivers/*.so | awk '{print $1}'
}

refuses() {
    said=$(MONGREY_DB=$(scheme_of "$2") "$1/mongrey-server" check --request 'client_address=192.0.2.1' 2>&1)
    [ $? -eq 78 ] && echo "$said" | grep -q "is the package mongrey-server-$2 installed?"
}

# shellcheck disable=SC2086
packaging/dist.sh "$build" "$dist" $drivers >/dev/null || { bad 'dist.sh failed'; drivers=; }
for own in $drivers; do
    folder=$dist/mongrey-server-$own
    check "$folder holds more than its driver" [ "$(ls "$folder/drivers")" = "$own.so" ]
    check "$folder: its checksums do not hold" sh -c "cd $folder && sha256sum --quiet -c SHA256SUMS"
    for library in $(library_of "$own" | cut -d' ' -f1); do
        check "$folder does not need $library" sh -c "grep -q '^$library' $folder/NEEDS"
    done
    for other in $drivers; do
        [ "$other" != "$own" ] || continue
        for library in $(library_of "$other"); do
            check "$folder needs $library" sh -c "! echo '$(needs "$folder")' | grep -q '^$library[.-]'"
        done
        check "$folder does not say what to install for $other" refuses "$folder" "$other"
    done
done
if [ -d "$dist/mongrey-server-sqlite" ]; then
    for name in sqlite all; do
        said=$(MONGREY_DB=sqlite:///$dist/$name.db "$dist/mongrey-server-$name/mongrey-server" check --record \
            --request 'client_address=192.0.2.1, sender=a@b.test, recipient=c@d.test' 2>&1)
        check "mongrey-server-$name answers: $said" sh -c "echo '$said' | grep -q Greylisted"
    done
fi
check 'mongrey-server-all lacks a driver' [ "$(ls "$dist/mongrey-server-all/drivers" | wc -l)" -eq "$(echo "$drivers" | wc -w)" ]
echo "dist: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
