# Apus in a container: serves the model that ships with it on port 7860.
#
#     docker build -t apus . && docker run --rm --read-only -p 7860:7860 apus
#
# With a model of the Hub inside (a private one takes the secret, which stays out of every layer):
#
#     docker build -t apus-roberta --build-arg MODEL=cardiffnlp/twitter-roberta-base-sentiment-latest \
#         --secret id=HF_TOKEN,env=HF_TOKEN .
#
# A Hugging Face Space with `sdk: docker` builds this file as it is. Tests/Container builds and tries it with buildah.
# Base images are named by version; a release builds on their digests of the day (PIN_BASES in deploy/scripts/build_image.sh).

ARG BUILD_IMAGE=swift:6.3.1-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

# The binary, with Swift's runtime inside, and its resources.
FROM ${BUILD_IMAGE} AS build
WORKDIR /source
# What Apus is built on changes less often than Apus: fetched in a layer of its own, with Package.resolved if there is one.
COPY Package.* ./
RUN swift package resolve
COPY Sources Sources
# A product of the package, so that it must not be empty.
COPY Tests/AllocationCounter Tests/AllocationCounter
# The package names the folders of its tests, which are no part of the image; SwiftPM is content with empty ones.
RUN mkdir -p Tests/CLITests Tests/EngineTests Tests/ExampleTests Tests/KernelsTests Tests/ServerTests \
    && swift build -c release --static-swift-stdlib --product apus \
    && mkdir /apus \
    && cp -R .build/release/apus .build/release/apus_*.resources /apus/ \
    && strip /apus/apus

# All that the binary needs, and nobody but root may change. `ldd apus` asks for what Debian has anyway: libc,
# libm, libgcc, libstdc++, zlib; `apus pull` opens libcurl, `--backend openblas` OpenBLAS.
FROM ${BASE_IMAGE} AS runtime
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libcurl4 libopenblas0-pthread \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
    && useradd -m -u 1000 apus \
    && mkdir -p /home/apus/.cache/huggingface \
    && chown -R root:root /home/apus \
    # Group 0 may write there too: OpenShift runs images as a user of its own choice in that group.
    && chown apus:root /home/apus/.cache/huggingface \
    && chmod 775 /home/apus/.cache/huggingface \
    && chmod 755 /home/apus \
    # Nothing is written but the model cache, and nothing becomes another user.
    && chmod 755 /tmp /var/tmp /run/lock \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /apus /opt/apus
# A clone of the Space has no executable bits: `hf upload` sends none.
COPY --chmod=755 deploy/scripts/healthcheck.sh /opt/apus/
COPY --chmod=644 LICENSE /opt/apus/
# Each option of `apus serve` may stand in the environment: APUS_HOST is --host 0.0.0.0.
ENV PATH=/opt/apus:/usr/local/bin:/usr/bin:/bin \
    HF_HOME=/home/apus/.cache/huggingface \
    APUS_HOST=0.0.0.0 \
    APUS_PORT=7860

# A model of the Hub, in the standard cache's form; an empty folder where none is asked for.
FROM runtime AS model
ARG MODEL=
ARG MODEL_REVISION=
ARG HF_ENDPOINT=
RUN --mount=type=secret,id=HF_TOKEN \
    mkdir /opt/models \
    && if [ -n "$MODEL" ]; then \
        HF_HUB_CACHE=/opt/models HF_TOKEN_PATH=/run/secrets/HF_TOKEN \
            apus pull "$MODEL" ${MODEL_REVISION:+--revision "$MODEL_REVISION"}; \
    fi \
    && chmod -R a+rX,go-w /opt/models

FROM runtime AS server
ARG MODEL=
ARG MODEL_REVISION=
COPY --from=model /opt/models /opt/models
# With a model inside, an image is for that model: never fetched again, the same at each start.
ENV APUS_MODEL=${MODEL} \
    APUS_REVISION=${MODEL_REVISION} \
    HF_HUB_CACHE=${MODEL:+/opt/models} \
    HF_HUB_OFFLINE=${MODEL:+1}
USER 1000:1000
WORKDIR /home/apus
# An image whose server would not start is not built.
RUN apus self-test
VOLUME /home/apus/.cache/huggingface
EXPOSE 7860
# bash and /dev/tcp: neither curl nor a second program of ours is needed to ask.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/opt/apus/healthcheck.sh"]
ENTRYPOINT ["apus"]
CMD ["serve"]

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=https://huggingface.co/spaces
LABEL org.opencontainers.image.title="Apus" \
      org.opencontainers.image.description="Sentiment of tweets on plain CPUs, over HTTP" \
      org.opencontainers.image.licenses="MIT AND Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
