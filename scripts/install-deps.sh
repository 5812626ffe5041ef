#!/bin/sh
# install-deps.sh build|check|bench: installs the Debian packages that are missing for it, and says which.
# Without root it says what to install, and fails. No service is started by it: a package that brings a
# daemon (Postfix, for the tests) is installed with its start forbidden.
set -eu

build='gcc libc6-dev make libuv1-dev libsqlite3-dev libyaml-dev libsodium-dev
    libpcre2-dev libidn2-dev libunistring-dev libmicrohttpd-dev pkg-config libpq-dev libmariadb-dev
    libmongoc-dev libhiredis-dev'
check="$build clang clang-format clang-tidy libclang-rt-dev libcmocka-dev python3 python3-pytest python3-yaml
    postfix strace procps postgresql pgbouncer mariadb-server redis-server liblmdb-dev openssl debootstrap"
bench="$build python3 postgrey"

case "${1:-}" in
build) wanted=$build ;;
check) wanted=$check ;;
bench) wanted=$bench ;;
*) echo "usage: $0 build|check|bench" >&2; exit 2 ;;
esac

# The tests' Postfix would push out another mail server: then they go without it, and say so.
for other in exim4-base sendmail-bin opensmtpd courier-mta nullmailer msmtp-mta; do
    state=$(dpkg-query -W -f '${Status}' "$other" 2>/dev/null || true)
    case "$state,$wanted" in
    'install ok installed,'*postfix*)
        wanted=$(echo $wanted | sed 's/ postfix / /')
        echo "$other is this machine's mail: Postfix is not installed, its tests are skipped" >&2 ;;
    esac
done

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$state" = 'install ok installed' ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "These packages are missing; as root:" >&2
    echo "  apt-get update && apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

echo "Installing for '$1':$missing"
forbidden=
if [ ! -e /usr/sbin/policy-rc.d ]; then
    forbidden=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$forbidden"
    chmod 755 "$forbidden"
    trap 'rm -f "$forbidden"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
case " $missing " in
*' postfix '*)
    # No configuration: the tests bring their own, and the machine's mail is not ours to set up.
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections || true ;;
esac
apt-get -q -o DPkg::Lock::Timeout=900 update
# shellcheck disable=SC2086
apt-get -q -y -o DPkg::Lock::Timeout=900 install --no-install-recommends $missing
