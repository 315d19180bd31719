# In place of apicurio/apicurio-registry: the same registry from Maven.
FROM debian:bookworm-slim
COPY jre /opt/jre
COPY registry /deployments
USER 1001
WORKDIR /deployments
CMD ["/opt/jre/bin/java", "-XX:MaxRAMPercentage=50", "-Dquarkus.http.host=0.0.0.0", "-jar", "quarkus-run.jar"]
