#!/bin/sh
# run.sh BUILD DIR: starts mongrey in the foreground on an SQLite store in DIR, and says how to try it.
set -eu
build=$1
dir=$2
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
build=$(cd "$build" && pwd)
# Settings of its own, before any file or variable of this machine: a trial never meets a real store.
[ -e "$dir/server.yml" ] ||
    "$build/mongrey-server" --quiet --settings "$dir/server.yml" config-install >/dev/null
db=sqlite:///$dir/mongrey.db
port=${RUN_PORT:-9999}

cat <<END

mongrey greylists on 127.0.0.1:$port; what it has seen is in $dir/mongrey.db, its settings (all of them
defaults) in $dir/server.yml. Ctrl-C ends it. Another port: make run RUN_PORT=10023

Ask it what it would say, in another terminal (it records nothing):

  $build/mongrey-server --set db_settings.host=$db check --request \\
    'client_address=198.51.100.7, sender=a@shop.example, recipient=you@home.example'

Ask it as Postfix does; the first answer is "450 ... Greylisted for 20 seconds", half a minute later
the same question gets "PREPEND X-Greylist: delayed ...":

  printf 'request=smtpd_access_policy\\nprotocol_state=RCPT\\nclient_address=198.51.100.7\\nsender=a@shop.example\\nrecipient=you@home.example\\n\\n' |
    bash -c 'exec 3<>/dev/tcp/127.0.0.1/$port; cat >&3; head -1 <&3'

Postfix: README.md has what to put into main.cf.

END
exec "$build/mongrey-server" --settings "$dir/server.yml" --set db_settings.host="$db" \
    --set host=127.0.0.1 --set port="$port" start
