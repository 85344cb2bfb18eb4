# Alternating comparison of two ways to run machines; sourced by the scripts in this folder.
#
# The sourcing script sets USAGE, defines `one WAY` to run one way, and calls `in_turns` with two ways and the maximum ratio of
# their medians.
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
setup >&2
ROUNDS=${1:-3}
NAMES=("${@:2}")
case $ROUNDS in '' | *[!0-9]* | 0) die "invalid number of rounds: \`$ROUNDS\`; usage: \`$USAGE\`" ;; esac
cd "$PROJECT"
cargo build --quiet --locked -p lab -p boot-server >&2
# The KVM probe and the image build are not measured.
LAB=$TARGET/debug/lab
"$LAB" images build >&2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

# Prints the duration of one run in seconds.
seconds() {
  local began
  began=$(date +%s%N)
  one "$1" >"$WORK/table" 2>"$WORK/log" || { cat "$WORK/log" "$WORK/table" >&2; die "a run ($1) failed"; }
  awk -v ns=$(($(date +%s%N) - began)) 'BEGIN {printf "%.2f\n", ns / 1e9}'
}

in_turns() {
  local first=$1 second=$2 most=$3 round order way
  for round in $(seq "$ROUNDS"); do
    # The order alternates, so that warm caches and filling disks affect both ways.
    order=("$first" "$second")
    [ $((round % 2)) = 1 ] || order=("$second" "$first")
    for way in "${order[@]}"; do
      seconds "$way" >"$WORK/one"
      cat "$WORK/one" >>"$WORK/of $way"
      say "round $round, $way: $(cat "$WORK/one") s"
      after "$way"
    done
  done
  awk -v one="$(median <"$WORK/of $first")" -v other="$(median <"$WORK/of $second")" -v n="$ROUNDS" \
    -v first="$first" -v second="$second" -v most="$most" 'BEGIN {
      printf "median of %d: %.2f s %s, %.2f s %s; ratio %.3f (at most %s)\n", n, one, first, other, second, one / other, most
      exit !(one <= other * most)
    }'
}
# Hook after a run, not measured.
after() { :; }
