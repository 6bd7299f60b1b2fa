#!/bin/bash
# Compares oggflv with ffmpeg on one file: both convert it in turn, five times after a first run that does not count.
#
#   benches/compare.sh FILE.ogv [SIZE]      SIZE is 800x600 unless given; needs ffmpeg and a release build
#
# Prints the medians of wall and CPU seconds, the bytes of the output, and the ratios of oggflv to ffmpeg, pair by pair.
set -eu
input=$1 size=${2:-800x600} runs=5
oggflv=${OGGFLV:-$(dirname "$0")/../target/release/oggflv}
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
ours() { "$oggflv" "$input" "$out/oggflv.flv" --size "$size" --overwrite; }
theirs() { ffmpeg -v error -nostdin -y -i "$input" -s "$size" -q:v 5 -b:a 128k "$out/ffmpeg.flv"; }
# Prints wall and CPU seconds of a command.
timed() { TIMEFORMAT='%R %U %S'; { time "$@" >/dev/null 2>&1; } 2>&1 | awk '{ print $1, $2 + $3 }'; }
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

timed ours >/dev/null; timed theirs >/dev/null
for _ in $(seq $runs); do echo "$(timed ours) $(timed theirs)"; done >"$out/times"
column() { awk "{ printf \"%.3f\n\", $1 }" "$out/times" | median; }
printf '| | wall s | CPU s | bytes |\n|---|---|---|---|\n'
printf '| oggflv | %.2f | %.2f | %s |\n' "$(column '$1')" "$(column '$2')" "$(stat -c %s "$out/oggflv.flv")"
printf '| ffmpeg -q:v 5 -b:a 128k | %.2f | %.2f | %s |\n' "$(column '$3')" "$(column '$4')" "$(stat -c %s "$out/ffmpeg.flv")"
printf '| oggflv / ffmpeg | %.2f | %.2f | %.2f |\n' "$(column '$1 / $3')" "$(column '$2 / $4')" \
  "$(stat -c %s "$out/oggflv.flv" "$out/ffmpeg.flv" | paste -sd/ | awk -F/ '{ print $1 / $2 }')"
