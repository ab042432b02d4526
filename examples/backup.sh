#!/bin/sh
# backup.sh SOURCE DESTINATION [KEEP]: packs a folder, checks the archive, keeps the newest KEEP (7).
set -eu

[ $# -ge 2 ] || { echo "usage: backup.sh SOURCE DESTINATION [KEEP]" >&2; exit 2; }
source=$1 destination=$2 keep=${3:-7}
[ -d "$source" ] || { echo "backup.sh: no such folder: $source" >&2; exit 1; }

name=$(basename "$source")
archive=$destination/$name-$(date -u +%Y%m%dT%H%M%SZ).tar.gz
mkdir -p "$destination"

# Packed under another name and renamed when it is whole: a backup is either there or it is not.
tar -C "$(dirname "$source")" -czf "$archive.part" "$name"
files=$(tar -tzf "$archive.part" | grep -vc '/$' || true)
mv "$archive.part" "$archive"
echo "$files files in $(basename "$archive")"

# The names sort by time.
find "$destination" -name "$name-*.tar.gz" | sort -r | tail -n +$((keep + 1)) | while read -r old; do
    rm -- "$old"
    echo "removed $(basename "$old")"
done
