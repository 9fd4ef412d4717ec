#!/bin/sh
# Clone, install, bring the pictures of a list and train, on a fresh cloud machine or notebook host. The same command again goes on
# where it was interrupted: what is cloned, installed, downloaded or trained stays.
#
#   sh cloud.sh --repo https://HOST/OWNER/NAME.git --list subsets/mine.txt --from https://HOST/dataset [flags] \
#       [-- joint train/recipes/joint.yaml --epochs 5]
#
# Behind -- stands the training as `python -m train` takes it, without --data, --run and --resume.
set -eu

usage() {
    cat <<'TEXT'
usage: sh cloud.sh --repo ADDRESS --list FILE --from ADDRESS [flags] [-- VERB RECIPE [training flags]]

  --repo ADDRESS      what git clones: an address, or a folder
  --list FILE         list of pictures that `fetch balance` wrote; a path inside the repository, or an absolute one
  --from ADDRESS      dataset that holds the pictures: a web address, a folder, zip://FILE, or what else fsspec opens
  --branch NAME       branch or tag (the default one of the repository)
  --dir FOLDER        where to clone to (geolocation)
  --data FOLDER       dataset folder to make (DIR/data/cloud)
  --run FOLDER        run folder to make (DIR/runs/cloud); on a notebook host, a folder of a drive that stays
  --partition NAME    how the world is cut (quad)
  --processes N       training processes, with torchrun where there are several (one for each GPU of NVIDIA, else 1)
  --system-packages   the virtual environment also sees what the host has installed, such as torch on notebook hosts
  --python FILE       interpreter that has all packages: no virtual environment is made and nothing is installed
  --no-calibrate      end after the training, without calibration and evaluation

The training is `joint train/recipes/joint.yaml` where nothing stands behind --.
TEXT
}

refuse() {
    echo "error: $1" >&2
    exit 2
}

say() {
    echo "== $1"
}

absolute() {
    case $1 in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
    esac
}

repo='' list='' from='' branch='' dir=geolocation data='' run='' partition=quad processes='' packages='' python='' calibrate=yes
while [ $# -gt 0 ]; do
    case $1 in
    --)
        shift
        break
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    --system-packages) packages=--system-site-packages ;;
    --no-calibrate) calibrate=no ;;
    --repo | --list | --from | --branch | --dir | --data | --run | --partition | --processes | --python)
        [ $# -ge 2 ] || refuse "$1 lacks its value"
        case $1 in
        --repo) repo=$2 ;;
        --list) list=$2 ;;
        --from) from=$2 ;;
        --branch) branch=$2 ;;
        --dir) dir=$2 ;;
        --data) data=$2 ;;
        --run) run=$2 ;;
        --partition) partition=$2 ;;
        --processes) processes=$2 ;;
        --python) python=$2 ;;
        esac
        shift
        ;;
    *) refuse "$1 is not a flag: --help lists the flags; the training stands behind --" ;;
    esac
    shift
done
[ -n "$repo" ] || refuse "--repo ADDRESS is missing"
[ -n "$list" ] || refuse "--list FILE is missing"
[ -n "$from" ] || refuse "--from ADDRESS is missing"
[ -z "$python" ] || [ -x "$python" ] || refuse "--python $python is not a program"
case $processes in
*[!0-9]* | 0) refuse "--processes must be 1 or more, got $processes" ;;
esac
command -v git >/dev/null || refuse "git is not installed"
[ $# -gt 0 ] || set -- joint train/recipes/joint.yaml

dir=$(absolute "$dir")
[ -z "$python" ] || python=$(absolute "$python")
[ ! -e "$from" ] || from=$(absolute "$from")
data=$(absolute "${data:-$dir/data/cloud}")
run=$(absolute "${run:-$dir/runs/cloud}")

# The code stays as it was cloned: a training that goes on must not meet another version of it.
if [ -d "$dir/.git" ]; then
    say "$dir is cloned already"
elif [ -e "$dir" ]; then
    refuse "$dir exists and is not a clone: choose another --dir"
else
    say "cloning $repo"
    rm -rf "$dir.partial"
    git clone --quiet ${branch:+--branch "$branch"} -- "$repo" "$dir.partial"
    mv "$dir.partial" "$dir"
fi
cd "$dir"

if [ -z "$python" ]; then
    python=$dir/.venv/bin/python
    if ! cmp -s requirements.txt .venv/installed.txt; then
        say "installing"
        # One that was cut short has no pip; made again it keeps what is good.
        if ! "$python" -m pip --version >/dev/null 2>&1; then
            python3 -m venv ${packages:+"$packages"} .venv
        fi
        "$python" -m pip install --quiet --disable-pip-version-check -r requirements.txt
        cp requirements.txt .venv/installed.txt
    fi
fi

say "bringing the pictures of $list"
"$python" -m fetch pull "$list" --from "$from" --out "$data"

if [ -f "$run/run.json" ]; then
    say "$run has its label maps already"
else
    say "label maps"
    "$python" -m label_maps build --data "$data" --run "$run" --partition "$partition"
fi

if [ -z "$processes" ]; then
    processes=$(nvidia-smi --list-gpus 2>/dev/null | wc -l | tr -d ' ')
    [ "$processes" -gt 0 ] || processes=1
fi
say "training in $processes process(es): train $*"
if [ "$processes" -gt 1 ]; then
    "$python" -m torch.distributed.run --standalone --nproc-per-node "$processes" -m -- train "$@" --data "$data" --run "$run" --resume
else
    "$python" -m train "$@" --data "$data" --run "$run" --resume
fi

if [ "$calibrate" = yes ]; then
    say "calibration and evaluation"
    "$python" -m train calibrate --data "$data" --run "$run"
    "$python" -m infer evaluate --data "$data" --run "$run"
fi
say "done: the run is $run"
