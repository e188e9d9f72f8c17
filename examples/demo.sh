#!/bin/sh
# The main job on the embedded default, in an empty folder: scenes -> shards -> training -> weights
# -> a measured mIoU, a segmented picture and its prototypes. Some minutes on two cores.
#
#   sh examples/demo.sh [FOLDER]        PGSEG names the program where it is not on the PATH
set -eu
PGSEG=${PGSEG:-pgseg}
FOLDER=${1:-demo}
mkdir -p "$FOLDER"
cd "$FOLDER"

step() {
  printf '\n\033[1m$ pgseg %s\033[0m\n' "$*"
  "$PGSEG" "$@"
}

step data prepare
if [ -e runs/pgseg-tiny ]; then # an earlier demo: go on with it, or find it finished
  step train --resume runs/pgseg-tiny
else
  step train --backend ddp --nproc 2
fi
step eval --limit 100
step segment data/scenes/eval/images/20000000.png -c "sky,road,tree"
step viz prototypes data/scenes/eval/images/20000000.png

cat <<TEXT

The pictures, in $FOLDER:
  segmented/20000000_overlay.png   the classes, over the picture
  20000000_prototypes.png          the groups, and the prototypes they were matched to
Next:
  pgseg segment YOUR_PHOTO.jpg -c "sky,road,tree"       (the checkout's pgseg is .venv/bin/pgseg)
  pgseg data prepare YOUR_CAPTIONS.tsv --out shards/ && pgseg train --data shards/
TEXT
