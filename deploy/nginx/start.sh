#!/bin/sh
# Run nginx in a container from the nginx.conf that render.sh prints; `healthy` asks the running one.
set -eu
here=$(dirname "$0")

# Through nginx to the app and back, with whichever client the image has.
healthy() {
    url=http://127.0.0.1:8080/healthz
    if command -v curl >/dev/null; then curl -fsS -o /dev/null "$url"
    elif command -v wget >/dev/null; then wget -q -O /dev/null "$url"
    else
        # bash's own sockets: the address is a file
        bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080
            printf "GET /healthz HTTP/1.0\r\n\r\n" >&3
            head -n 1 <&3 | grep -q " 200 "'
    fi
}

if [ "${1-}" = healthy ]; then
    healthy
    exit
fi
sh "$here/render.sh" >"$RUN_DIR/nginx.conf"
exec nginx -e stderr -c "$RUN_DIR/nginx.conf" -g 'daemon off;'
