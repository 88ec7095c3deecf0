"""Real image data that packages of the Debian, npm and Python registries carry, made into tasks."""
