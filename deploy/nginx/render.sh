#!/bin/sh
# Print nginx.conf with the values that the environment gives, for containers, tests and other set-ups:
#
#   UPSTREAM=unix:/run/app/gunicorn.sock sh deploy/nginx/render.sh >/etc/nginx/nginx.conf
#
#   LISTEN            where nginx listens (8080; 127.0.0.1:80, …)
#   UPSTREAM          where gunicorn listens (127.0.0.1:8000; app:8000, unix:/path)
#   RATE_LIMIT        requests per second and client address (20000), or off
#   RATE_BURST        how many more may come at once (20000)
#   CONNECTION_LIMIT  connections per client address (512), or off
#   ADMIN_ADDRESSES   whom /metrics and the admin routes are open to ("127.0.0.0/8 ::1/128"), or none
#   MAX_BODY_BYTES    as the app's (16777216)
#   REQUEST_TIMEOUT   as the app's, in seconds (30)
#   INCLUDE           more directives for the server (/etc/nginx/service.d/*.conf)
#   RUN_DIR           a folder for the pid and temporary files, instead of the system's
#   LOG_TO            a folder for access.log and error.log (/var/log/nginx), or stdout (errors to stderr)
#
# An empty variable counts as one that is not set.
set -eu
conf=${NGINX_CONF:-$(dirname "$0")/nginx.conf}
[ -f "$conf" ] || conf=$(dirname "$0")/../../nginx.conf

script=
edit() {
    script="$script
$1"
}

# A value goes into a sed command and then into nginx.conf: nothing that could end either.
checked() {
    case $2 in
    *[!A-Za-z0-9_.:/*\ \[\]-]*) echo "error: $1 has a character that cannot be used: $2" >&2; exit 1 ;;
    esac
}
number() {
    case $2 in
    '' | *[!0-9]*) echo "error: $1 must be a whole number, not '$2'" >&2; exit 1 ;;
    esac
}

if [ -n "${LISTEN:-}" ]; then
    checked LISTEN "$LISTEN"
    edit "s|listen 8080;|listen $LISTEN;|"
fi
if [ -n "${UPSTREAM:-}" ]; then
    checked UPSTREAM "$UPSTREAM"
    edit "s|server 127\.0\.0\.1:8000 |server $UPSTREAM |"
fi
case ${RATE_LIMIT:-} in
'') ;;
off) edit '/^ *limit_req zone=/d' ;;
*) number RATE_LIMIT "$RATE_LIMIT"; edit "s|rate=[0-9]*r/s|rate=${RATE_LIMIT}r/s|" ;;
esac
if [ -n "${RATE_BURST:-}" ]; then
    number RATE_BURST "$RATE_BURST"
    edit "s|burst=[0-9]*|burst=$RATE_BURST|"
fi
case ${CONNECTION_LIMIT:-} in
'') ;;
off) edit '/^ *limit_conn connections/d' ;;
*) number CONNECTION_LIMIT "$CONNECTION_LIMIT"; edit "s|limit_conn connections [0-9]*;|limit_conn connections $CONNECTION_LIMIT;|" ;;
esac
if [ -n "${ADMIN_ADDRESSES:-}" ]; then
    checked ADMIN_ADDRESSES "$ADMIN_ADDRESSES"
    edit '/^ *::1\/128 1;$/d'
    [ "$ADMIN_ADDRESSES" = none ] && ADMIN_ADDRESSES=
    lines=
    set -f
    for address in $ADMIN_ADDRESSES; do lines="$lines        $address 1;\\n"; done
    edit "s|^ *127\.0\.0\.0/8 1;\$|$lines|"
fi
if [ -n "${MAX_BODY_BYTES:-}" ]; then
    number MAX_BODY_BYTES "$MAX_BODY_BYTES"
    edit "s|client_max_body_size [0-9]*;|client_max_body_size $MAX_BODY_BYTES;|"
fi
if [ -n "${REQUEST_TIMEOUT:-}" ]; then
    seconds=${REQUEST_TIMEOUT%%.*}
    number REQUEST_TIMEOUT "${seconds:-0}"
    edit "s|proxy_read_timeout [0-9]*s;|proxy_read_timeout $((${seconds:-0} + 5))s;|"
    edit "s|proxy_next_upstream_timeout [0-9]*s;|proxy_next_upstream_timeout $((${seconds:-0} + 1))s;|"
fi
if [ -n "${INCLUDE:-}" ]; then
    checked INCLUDE "$INCLUDE"
    edit "s|include /etc/nginx/service\.d/\*\.conf;|include $INCLUDE;|"
fi
if [ -n "${RUN_DIR:-}" ]; then
    checked RUN_DIR "$RUN_DIR"
    edit "s|^pid .*;|pid $RUN_DIR/nginx.pid;|"
    paths=
    for kind in client_body proxy fastcgi uwsgi scgi; do
        paths="$paths    ${kind}_temp_path $RUN_DIR/nginx-$kind;\\n"
    done
    edit "s|^http {\$|http {\\n$paths|"
fi
case ${LOG_TO:-} in
'') ;;
stdout)
    edit 's|^error_log [^ ]*|error_log stderr|'
    edit 's|access_log /var/log/nginx/access.log|access_log /dev/stdout|'
    ;;
*)
    checked LOG_TO "$LOG_TO"
    edit "s|/var/log/nginx/|$LOG_TO/|"
    ;;
esac

sed "$script" "$conf"
