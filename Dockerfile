# The worker for production: `docker compose up --build`, or `docker build -t runward .`.
# Debian and not Alpine, since Temporal's native part is built for glibc alone.

FROM node:24-slim AS package
WORKDIR /checkout
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN mkdir /installation && npm pack --pack-destination /installation

FROM node:24-slim AS installation
WORKDIR /opt/runward
COPY --from=package /installation/runward-*.tgz runward.tgz
COPY package-lock.json scripts/image/install.sh scripts/image/start.sh ./
RUN ./install.sh && rm install.sh

FROM node:24-slim
# Temporal's native part brings no certificates of its own, for a server with TLS.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/* \
  && install --directory --owner=node --group=node --mode=0700 /var/lib/runward
COPY --from=installation /opt/runward /opt/runward
ENV NODE_ENV=production RUNWARD_HOME=/var/lib/runward
VOLUME /var/lib/runward
WORKDIR /var/lib/runward
USER node
# The worker ends within 40 s of it: `docker run --stop-timeout 60`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/runward/start.sh"]
CMD ["worker"]
# No HEALTHCHECK: a worker that fails ends by itself, and whether one polls only Temporal's server knows.
