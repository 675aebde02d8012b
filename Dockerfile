# docker build -t slmzoo . && docker run --rm -v "$PWD:/work" slmzoo resynth talk.flac --zoo demo --out out
# A GPU needs another index: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128
FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -c /src/constraints.txt "/src[web]" && rm -rf /src
WORKDIR /work
ENTRYPOINT ["slmzoo"]
