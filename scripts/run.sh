#!/bin/sh
# run.sh BUILD DIR: starts mongrey in the foreground on an SQLite store in DIR, and says how to try it.
set -eu
build=$1
dir=$2
port=${MONGREY_PORT:-9999}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
: "${MONGREY_DB:=sqlite:///$dir/mongrey.db}"
export MONGREY_DB MONGREY_PORT="$port"

cat <<EOF

mongrey greylists on 127.0.0.1:$port; what it has seen is in $dir/mongrey.db. Ctrl-C ends it.

Ask it what it would say, in another terminal (it records nothing):

  MONGREY_DB='$MONGREY_DB' $build/mongrey-server check --request \\
    'client_address=198.51.100.7, sender=a@shop.example, recipient=you@home.example'

Ask it as Postfix does; the first answer is "450 ... Greylisted for 20 seconds", half a minute later
the same question gets "PREPEND X-Greylist: delayed ...":

  printf 'request=smtpd_access_policy\\nprotocol_state=RCPT\\nclient_address=198.51.100.7\\nsender=a@shop.example\\nrecipient=you@home.example\\n\\n' |
    bash -c 'exec 3<>/dev/tcp/127.0.0.1/$port; cat >&3; head -1 <&3'

Postfix: see README.md for the two lines in main.cf.

EOF
exec "$build/mongrey-server" start
