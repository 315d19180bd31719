# In place of edenhill/kcat: Debian's.
FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends kcat && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["kcat"]
