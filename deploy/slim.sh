#!/bin/sh
# Takes out of a folder of packages what no service uses: their tests, samples, sources, commands, and editing of fonts.
set -eu
folder=$1
find "$folder" -type d -name tests -prune -exec rm -rf {} +
find "$folder" -type f \( -name '*.c' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.a' \) -delete
rm -rf "${folder:?}/bin" "$folder/matplotlib/mpl-data/sample_data"
for part in cu2qu feaLib otlLib qu2cu subset varLib; do rm -rf "$folder/fontTools/$part"; done
