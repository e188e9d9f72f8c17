#!/bin/sh
# The main job on the embedded default, in an empty folder: scenes -> shards -> training -> weights
# -> a measured mIoU, a segmented picture and its prototypes. Five minutes on two cores.
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

RUN=runs/pgseg-tiny
PICTURE=data/scenes/eval/images/20000007.png  # a road, and a tree beside it

step data prepare
if [ -e "$RUN" ]; then # an earlier demo: go on with it, or find it finished
  step train --resume "$RUN"
else
  # One process: two would spend more than half of their time on what one has to do once.
  step train --set train.epochs=5 --out "$RUN"
fi
step eval --weights "$RUN" --limit 100
step segment "$PICTURE" -c "sky,road,tree" --weights "$RUN"
step viz prototypes "$PICTURE" --weights "$RUN"

cat <<TEXT

The pictures, in $FOLDER:
  segmented/20000007_overlay.png   the classes, over the picture
  20000007_prototypes.png          the groups, and the prototypes they were matched to
Next (in a checkout, pgseg is .venv/bin/pgseg):
  pgseg segment YOUR_PHOTO.jpg -c "sky,road,tree" --weights $FOLDER/$RUN
  pgseg data prepare YOUR_CAPTIONS.tsv --out shards/ && pgseg train --data shards/
TEXT
