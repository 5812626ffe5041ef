#!/bin/sh
# sizes.sh: no file of the program over 600 lines, no function over 85. The file that hurts is always the
# one that was allowed to be "where things go".
set -eu
cd "$(dirname "$0")/.."
files=$(find core filters cache drivers include tests bench -name '*.[ch]')
bad=$(wc -l $files | awk '$2 != "total" && $1 > 600 {print $2 ": " $1 " lines"}')
long=$(awk '
    FNR == 1 { depth = 0 }
    /^\{/ { start = FNR; depth = 1; next }
    /^\}/ && depth { if (FNR - start > 85) print FILENAME ":" start ": a function of " FNR - start " lines"; depth = 0 }
' $files)
[ -z "$bad$long" ] || { printf '%s\n%s\n' "$bad" "$long" >&2; exit 1; }
echo 'sizes: no file over 600 lines, no function over 85'
