# The service as an image, of packages alone: docs/service.md says how it is built and run.
FROM docker.io/library/python:3.11-slim

# What pip is told of torch, such as an index of builds without CUDA, which are a tenth as large.
ARG TORCH_OPTIONS=
RUN pip install --no-cache-dir $TORCH_OPTIONS torch

WORKDIR /opt/tans
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip install --no-cache-dir '.[web,onnx]' \
    && useradd --system --home-dir /var/lib/tans --create-home tans

# Uploads, which are deleted, and results; a volume keeps the latter when the container goes.
ENV TANS_CACHE=/var/lib/tans
VOLUME /var/lib/tans
USER tans
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/api/v1/health', timeout=5)"]
# beyond loopback it asks for a token: TANS_TOKEN in the environment of the container
ENTRYPOINT ["tans", "serve", "--host", "0.0.0.0"]
