# bench in a container.
#
#     docker build -t bench .                                            # PyTorch with CUDA
#     docker build -t bench --build-arg TORCH=cpu --build-arg TORCH_INDEX=URL .   # for CPUs alone: 1 GB
#
# URL is the index of PyTorch's CPU wheels, which its start page names. Then
#     docker run --rm -v "$PWD/runs:/runs" bench run --method random,dm --dataset digits --ipc 1,10 --profile smoke
#
# With a GPU, `docker run --gpus all ...`.
FROM python:3.12-slim

# `cuda` takes the wheels that pip finds; `cpu` takes those whose index is given in TORCH_INDEX.
ARG TORCH=cuda
ARG TORCH_INDEX=""

# A compiler, for the kernels that bench builds for CPUs when it first runs.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /bench
COPY pyproject.toml README.md LICENSE ./
COPY bench bench
COPY methods methods
COPY architectures architectures
COPY results/published results/published
RUN if [ "$TORCH" = cpu ] && [ -n "$TORCH_INDEX" ]; then \
      pip install --no-cache-dir torch torchvision --index-url "$TORCH_INDEX"; \
    fi \
    && pip install --no-cache-dir .

# Results and data are written where the volume is, by a user that is not root.
RUN useradd --create-home researcher && mkdir /runs && chown researcher /runs
USER researcher
ENV BENCH_DATA=/runs/data
WORKDIR /runs
ENTRYPOINT ["bench"]
CMD ["--help"]
