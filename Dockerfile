# The app on a CPU: `docker compose up` answers at http://127.0.0.1:7860 from the run in runs/demo. docs/desks.md says more.
FROM python:3.11-slim

# The builds of PyTorch on the Python index bring CUDA, 5 GB that a CPU has no use for. Give the address of the CPU builds, which
# PyTorch's page on installing names: docker build --build-arg TORCH_INDEX=ADDRESS .
ARG TORCH_INDEX=""

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY requirements.lock ./
RUN cp requirements.lock rest.lock \
    && if [ -n "$TORCH_INDEX" ]; then \
        pip install --index-url "$TORCH_INDEX" $(sed -n 's/^\(torch[a-z]*==[0-9.]*\).*/\1/p' requirements.lock) \
        && awk '/^[a-z]/ { keep = !/^(torch|nvidia|cuda|triton)/ } keep' requirements.lock > rest.lock; \
    fi \
    && pip install --require-hashes -r rest.lock \
    && rm rest.lock

# The root may be read-only, and the user one without a home: what is downloaded goes into cache/, all else is temporary.
ENV HOME=/tmp \
    XDG_CACHE_HOME=/app/cache

COPY . .
RUN useradd --uid 1000 geo && mkdir data runs predictions cache && chown geo data runs predictions cache
USER geo

EXPOSE 7860
CMD ["python", "-m", "infer", "serve", "--run", "runs/demo", "--host", "0.0.0.0", "--device", "cpu"]
