#!/bin/sh
# Delete from a virtual environment what FindMe never reads. For the Dockerfile: it takes about 90 MB off each image.
#
#     trim-packages.sh /venv
#
# tests/unit/project/test_images.py checks that the services and languages kept here are those of the app.
set -eu
cd "$1"/lib/python3*/site-packages

# Tests and their data, and what only compilers and type checkers read.
find . -depth -type d -name tests -exec rm -rf {} +
rm -rf onnx/backend/test sqlalchemy/testing
find . -type f \( -name '*.pyi' -o -name '*.c' -o -name '*.h' -o -name '*.a' -o -name '*.pyx' -o -name '*.pxd' \) -delete

# fontTools works without its compiled modules, a little slower; it is used for posters alone. NumPy's bridge to Fortran.
find . -path './fontTools/*' -name '*.so' -delete
rm -rf numpy/f2py

# Babel: formats of dates and numbers of 1,100 locales. The app speaks English and French.
find babel/locale-data -name '*.dat' ! -name root.dat ! -name 'en*.dat' ! -name 'fr*.dat' -delete

# botocore: descriptions of 400 services. The app uses three; the others bring temporary credentials.
find botocore/data -mindepth 1 -maxdepth 1 -type d \
    ! -name s3 ! -name rekognition ! -name organizations ! -name sts ! -name sso ! -name sso-oidc -exec rm -rf {} +
