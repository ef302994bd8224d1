#!/bin/sh
# Make the secrets that compose.yaml reads, once: sudo deploy/compose/make-secrets.sh smtp://user:password@host:587
#
# Compose mounts these files with the owner and mode that they have here, so each belongs to the user of the container
# that reads it: 10001 is FindMe, 999 is PostgreSQL and Valkey in their Debian images. Files that exist are kept.
# SECRETS_DIR names another folder than /etc/findme/secrets. Not for rootless Docker, which maps users to other numbers.
set -eu
umask 077

folder=${SECRETS_DIR:-/etc/findme/secrets}
findme=10001
server=999

[ $# -eq 1 ] || { echo "usage: $0 smtp://user:password@host:587" >&2; exit 2; }
case $1 in
smtp://* | smtps://*) ;;
*) echo "$0: the address of the mail server starts with smtp:// or smtps://" >&2; exit 2 ;;
esac
[ "$(id -u)" -eq 0 ] || { echo "$0: run this as root: the files belong to other users" >&2; exit 2; }

random() {
	# Letters and digits only, since these become parts of addresses. 48 of them are 285 bits.
	head -c 4096 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9' | head -c 48
}

put() { # NAME OWNER CONTENT
	if [ -e "$folder/$1" ]; then
		echo "kept $folder/$1"
		return
	fi
	printf '%s\n' "$3" >"$folder/.$1.new"
	chown "$2:$2" "$folder/.$1.new"
	chmod 0400 "$folder/.$1.new"
	mv "$folder/.$1.new" "$folder/$1"
	echo "made $folder/$1"
}

mkdir -p "$folder"
put secret_key $findme "$(random)"
put postgres_password $server "$(random)"
put valkey_conf $server "requirepass $(random)"
put database_url $findme "postgresql://findme:$(cat "$folder/postgres_password")@postgres/findme"
put redis_url $findme "redis://:$(sed 's/^requirepass //' "$folder/valkey_conf")@valkey:6379/0"
put smtp_url $findme "$1"
