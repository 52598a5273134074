#!/usr/bin/env bash
# `make rehearsal` as a newcomer meets it: a clone, an empty home, no caches, neither Pulumi nor Go on the PATH.
# What leads to package registries (proxies, mirrors, certificates) is kept; PYTHON names the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
place="$(mktemp -d)"
finish() {
  status=$?
  [ -d "$place/clone/.rehearsal" ] && run make -s rehearsal-clean || true
  chmod -R u+w "$place" && rm -rf "$place" # Go's module cache is read-only
  exit "$status"
}
trap finish EXIT

mkdir "$place/home" "$place/bin"
for folder in /usr/local/bin /usr/bin /bin; do
  for program in "$folder"/*; do
    case "${program##*/}" in
      pulumi* | go | gofmt) ;;
      *) [ -e "$place/bin/${program##*/}" ] || ln -s "$program" "$place/bin/" ;;
    esac
  done
done
kept=()
while IFS= read -r name; do kept+=("$name=${!name}"); done < <(
  compgen -e | grep -E '^(PIP_|UV_|SSL_CERT_|REQUESTS_CA_BUNDLE$|CURL_CA_BUNDLE$|GIT_SSL_|GOPROXY$|GONOSUM|GOSUMDB$|LANG$)|_(PROXY|proxy)$' || true
)
run() { (cd "$place/clone" && env -i "${kept[@]}" HOME="$place/home" PATH="$place/bin" TMPDIR="${TMPDIR:-/tmp}" "$@"); }

git clone --quiet . "$place/clone"
if run bash -c 'command -v pulumi || command -v go'; then
  echo 'error: the fresh machine is not fresh' >&2
  exit 1
fi
run make rehearsal PYTHON="${PYTHON:-python3}"
run make -s doctor
echo 'the second time, nothing is to be done'
run bash -c 'eval "$(make -s rehearsal-env)" && for stack in test prod; do pulumi preview --stack "$stack" --expect-no-changes; done'
changed="$(run git status --porcelain)"
[ -z "$changed" ] || { echo "error: the checkout isn't clean: $changed" >&2; exit 1; }
run make -s rehearsal-clean
[ ! -e "$place/clone/.rehearsal" ]
echo 'a fresh machine: all well'
