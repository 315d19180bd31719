# The binaries of this machine's build, in place of a build inside of Docker.
FROM scratch
COPY out /out
