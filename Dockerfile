# Portico with all that it starts, in one image: docs/deploy.md says how to build and run it.
#
#   docker build -t portico .
#   docker build -t portico --build-arg JANUS=debian .      # Debian's Janus 1.1.2 instead of the newest
#   docker build -t portico --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt .   # behind an authority of your own

# Debian 12, or an image made of it.
ARG BASE=docker.io/library/debian:12-slim
ARG JANUS=newest

# Janus: the newest, compiled from Debian's source package, or nothing, for Debian's own. `--build-context
# janus=.janus` takes one that script/build-janus has built before.
FROM ${BASE} AS janus-built
ARG JANUS
COPY script/build-janus /src/script/
COPY script/lib /src/script/lib/
RUN mkdir -p /src/.janus \
    && { [ "$JANUS" != newest ] || bash /src/script/build-janus; } \
    && rm -rf /src/.janus/share /src/.janus/include

FROM scratch AS janus
COPY --from=janus-built /src/.janus /

# What keeps the relay to ports of media without root: coturn loads it.
FROM ${BASE} AS relay-ports
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends gcc libc6-dev >/dev/null && rm -rf /var/lib/apt/lists/*
COPY portico/edge/relay_ports.c /src/
RUN cc -shared -fPIC -O2 -o /src/relay-ports.so /src/relay_ports.c

# Portico in an environment of its own, with the pages built and everything compiled: the image is read-only.
FROM ${BASE} AS portico
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends ca-certificates python3 python3-venv >/dev/null \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY deploy/image/with-ca /usr/local/bin/
COPY requirements.lock requirements-dev.lock ./
RUN --mount=type=secret,id=ca \
    python3 -m venv .venv && python3 -m venv --without-pip /opt/portico \
    && sed -n '/^uv==/,/[^\\]$/p' requirements-dev.lock >uv.lock \
    && with-ca .venv/bin/pip install -q --no-cache-dir --require-hashes -r uv.lock \
    && with-ca .venv/bin/uv pip install -q --no-cache --python /opt/portico/bin/python --compile-bytecode \
        --require-hashes -r requirements.lock
COPY script/lib script/lib
COPY frontend frontend
RUN --mount=type=secret,id=ca \
    with-ca bash -euc '. script/lib/apt.sh; . script/lib/node.sh; find_node; install_node_modules; \
        "${npm[@]}" --prefix frontend run build'
COPY pyproject.toml README.md LICENSE ./
COPY portico portico
RUN --mount=type=secret,id=ca \
    with-ca .venv/bin/uv pip install -q --no-cache --python /opt/portico/bin/python --compile-bytecode --no-deps .

# What runs: no compiler, no npm or pip, no program with the set-user-id bit.
FROM ${BASE} AS system
COPY deploy/image/dpkg-excludes /etc/dpkg/dpkg.cfg.d/portico
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends ca-certificates caddy coturn ffmpeg fonts-noto-cjk \
        fonts-noto-core fonts-symbola haproxy libcap2-bin python3 tini \
        libglib2.0-0 libjansson4 libnice10 libogg0 libopus0 libsrtp2-1 libusrsctp2 \
        '^libconfig[0-9]+$' '^libwebsockets[0-9]+(t64)?$' >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
    && fc-cache -f \
    && find / -xdev -type f -perm /6000 -exec chmod ug-s {} + \
    && groupadd --system --gid 64163 portico \
    && useradd --system --uid 64163 --gid portico --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin portico \
    && install -d -o portico -g portico -m 0700 /var/lib/portico \
    && cp /usr/bin/setpriv /usr/local/bin/setpriv-low-ports \
    && setcap cap_net_bind_service+p /usr/local/bin/setpriv-low-ports

FROM system
ARG JANUS
RUN [ "$JANUS" != debian ] || { apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends janus >/dev/null && rm -rf /var/lib/apt/lists/*; }
COPY --from=janus / /opt/janus/
COPY --from=relay-ports /src/relay-ports.so /usr/local/lib/portico/
COPY --from=portico /opt/portico /opt/portico
COPY deploy/image/portico deploy/image/ready /usr/local/bin/
ENV PORTICO_HOST=0.0.0.0 PORTICO_DATA_DIR=/var/lib/portico
USER 64163:64163
WORKDIR /var/lib/portico
VOLUME /var/lib/portico
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["ready"]
ENTRYPOINT ["tini", "--", "portico"]
CMD ["serve"]
