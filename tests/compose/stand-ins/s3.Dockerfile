# In place of versity/versitygw: the same server, built from its sources.
FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
COPY versitygw /app/versitygw
ENTRYPOINT ["/app/versitygw"]
