#!/usr/bin/env bash
# Makes ready what the tests seen from outside need: Debian's Chromium, a Python environment in e2e/.venv, and in e2e/.cache the
# assets of Zipkin's own page, Zipkin's Java reporter and Jaeger's own senders. Does nothing when all is there; asks only Debian's,
# Python's, Maven's and Go's registries. Without Go the tests of Jaeger's senders are skipped.
set -euo pipefail
cd "$(dirname "$0")"

ZIPKIN_VERSION=3.5.1
MAVEN_COPY=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy

# need COMMAND PACKAGE: sees to it that COMMAND is there, from Debian's PACKAGE.
need() {
  command -v "$1" >/dev/null && return
  install_debian_package "$2"
}

apt_updated=
install_debian_package() {
  if [ "$(id -u)" != 0 ]; then
    echo "e2e/setup.sh: the tests need Debian's package '$1': run 'apt-get install $1' as root, then try again" >&2
    exit 1
  fi
  [ -n "$apt_updated" ] || apt-get update >&2
  apt_updated=yes
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$1" >&2
}

make_venv() {
  local stamp=.venv/requirements.txt
  cmp --silent requirements.txt "$stamp" && return
  need python3 python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_debian_package python3-venv
  python3 -m venv --clear .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: \
    --no-binary jaeger-client,opentracing,threadloop --no-deps --requirement requirements.txt
  .venv/bin/pip check >&2
  cp requirements.txt "$stamp"
}

# Zipkin's page is inside the server's jar, as a jar of its own.
fetch_lens() {
  [ -f ".cache/zipkin-lens-$ZIPKIN_VERSION/index.html" ] && return
  need mvn maven
  need unzip unzip
  local jar="zipkin-server-$ZIPKIN_VERSION-exec.jar" lens="zipkin-lens-$ZIPKIN_VERSION.jar"
  mkdir -p .cache
  [ -f ".cache/$jar" ] || mvn --quiet --batch-mode -Dstyle.color=never "$MAVEN_COPY" -DoutputDirectory="$PWD/.cache" \
    -Dartifact="io.zipkin:zipkin-server:$ZIPKIN_VERSION:jar:exec" -Dmdep.useBaseVersion=true >&2
  local work
  work=$(mktemp -d .cache/lens.XXXXXX)
  unzip -q -j ".cache/$jar" "BOOT-INF/lib/$lens" -d "$work"
  unzip -q "$work/$lens" 'zipkin-lens/*' -d "$work"
  mv "$work/zipkin-lens" ".cache/zipkin-lens-$ZIPKIN_VERSION"
  rm -r "$work"
}

# Zipkin's reporter for Java, and the program of ours that calls it.
fetch_java_reporter() {
  local folder=.cache/zipkin-reporter program=peers/zipkin-reporter/Report.java
  [ "$folder/Report.class" -nt "$program" ] && return
  need mvn maven
  need javac default-jdk-headless
  mkdir -p "$folder"
  local artifact
  for artifact in reporter2:zipkin-reporter reporter2:zipkin-sender-urlconnection zipkin2:zipkin; do
    mvn --quiet --batch-mode -Dstyle.color=never "$MAVEN_COPY" -DoutputDirectory="$PWD/$folder" \
      -Dartifact="io.zipkin.$artifact:$ZIPKIN_VERSION" -Dmdep.useBaseVersion=true >&2
  done
  javac -nowarn -cp "$folder/*" -d "$folder" "$program"
}

# Jaeger's load generator and its demo, from its published module.
build_jaeger_senders() {
  { [ -x .cache/jaeger/tracegen ] && [ -x .cache/jaeger/hotrod ]; } || ! command -v go >/dev/null && return
  local modules=github.com/jaegertracing/jaeger
  (cd peers/jaeger && go build -o "$OLDPWD/.cache/jaeger/" "$modules/cmd/tracegen" "$modules/examples/hotrod")
}

need chromium chromium
make_venv
fetch_lens
fetch_java_reporter
build_jaeger_senders
