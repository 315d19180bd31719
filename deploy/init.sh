#!/usr/bin/env bash
# Makes every secret of the deployment once, and hands each service its own into its own volume.
#
#     init.sh             make what is missing, hand out what is missing
#     init.sh rotate      make new opening and sender keys first; restart the stages afterwards
#
# Only this service mounts them all. A file that is there is never replaced, except by `rotate`, which
# replaces the keys that it rotates. If one differs from what was made, volumes of two deployments
# are mixed, or one was removed: nothing is changed then, since it may be all that opens the trail.
set -euo pipefail
shopt -s nullglob
umask 077

readonly made=/secrets/made
readonly errand=${1:-up}

say() { printf 'init: %s\n' "$*"; }

# A service, its user, a file, and what it is called there.
hand_outs() {
    local key stage
    for key in "$made"/keys/public/opening/*; do
        for stage in ingest-proxy:10001 masker:10002 approver:10003 query:10005; do
            echo "${stage%:*} ${stage#*:} $key keys/public/opening/${key##*/}"
        done
    done
    for key in "$made"/keys/public/senders/*/*.pub; do
        echo "masker 10002 $key keys/${key#"$made"/keys/}"
    done
    # These go nowhere else.
    for key in "$made"/keys/opening/*.key; do
        echo "masker 10002 $key keys/opening/${key##*/}"
    done
    for stage in ingest-proxy:10001 approver:10003 query:10005; do
        echo "${stage%:*} ${stage#*:} $made/keys/senders/${stage%:*}.key keys/senders/${stage%:*}.key"
        echo "${stage%:*} ${stage#*:} $made/keys/session.key keys/session.key"
    done
    echo "ingest-proxy 10001 $made/keys/token.key keys/token.key"
    echo "masker 10002 $made/keys/token.key keys/token.key"
    echo "approver 10003 $made/keys/token.key keys/token.key"
    echo "ingest-proxy 10001 $made/keys/gateway.key keys/gateway.key"
    for key in "$made"/keys/public/decision/*.pub; do
        for stage in ingest-proxy:10001 approver:10003; do
            echo "${stage%:*} ${stage#*:} $key keys/public/decision/${key##*/}"
        done
    done
    if [[ -e $made/keys/decision.key ]]; then
        echo "approver 10003 $made/keys/decision.key keys/decision.key"
    fi
    echo "archiver 10004 $made/s3 s3"
    echo "query 10005 $made/s3 s3"
    echo "s3 10006 $made/s3 s3"
    echo "keycloak 1000 $made/keycloak-admin admin"
    echo "keycloak 1000 $made/realm.json realm.json"
    for person in ann bob agent keycloak-admin; do
        echo "people 10000 $made/$person $person"
    done
}

# Makes a file from what is printed to it, whole or not at all, unless it is there.
make_once() { # FILE COMMAND...
    local file=$1
    shift
    [[ ! -e $file ]] || return 0
    "$@" >"$file.draft"
    sync "$file.draft"
    mv "$file.draft" "$file"
    say "made ${file##*/}"
}

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

realm() {
    sed -e "s/@ann@/$(<"$made/ann")/" -e "s/@bob@/$(<"$made/bob")/" \
        -e "s/@agent@/$(<"$made/agent")/" /etc/trailgate/realm.json
}

may_replace() { # TARGET
    [[ $errand == rotate ]] || return 1
    [[ $1 == keys/public/opening/current || $1 == keys/senders/* || $1 == keys/decision.key ]]
}

check() {
    while read -r service _ file target; do
        local there=/secrets/$service/$target
        if [[ -e $there ]] && ! cmp -s "$file" "$there" && ! may_replace "$target"; then
            say "$service has another $target than was made here; nothing is changed"
            return 1
        fi
    done
}

hand_out() {
    while read -r service user file target; do
        local there=/secrets/$service/$target folder
        cmp -s "$file" "$there" && continue
        folder=$(dirname "$target")
        while [[ $folder != . ]]; do
            [[ -d /secrets/$service/$folder ]] || install -d -m 0700 "/secrets/$service/$folder"
            chown "$user:$user" "/secrets/$service/$folder"
            folder=$(dirname "$folder")
        done
        chown "$user:$user" "/secrets/$service"
        chmod 0700 "/secrets/$service"
        install -m 0600 -o "$user" -g "$user" "$file" "$there.draft"
        sync "$there.draft"
        mv "$there.draft" "$there"
    done
}

trailgate keys new "$made/keys" >/dev/null
for secret in s3 ann bob agent keycloak-admin; do
    make_once "$made/$secret" random
done
make_once "$made/realm.json" realm
hand_outs | check
if [[ $errand == rotate ]]; then
    trailgate keys rotate "$made/keys"
    hand_outs | check
fi
hand_outs | hand_out
chown 10006:10006 /data/s3
say 'every service has its own secrets'
