"""Photographs that are handed in lie in one folder, which is cleared by age and whole at the end."""

import os
import subprocess
import sys
import time
from pathlib import Path

from infer.serve.uploads import PREFIX, clear_old, own_folder


def test_the_folder_is_gone_at_the_end_with_all_in_it(tmp_path):
    with own_folder(tmp_path / "new") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "photo.jpg").write_bytes(b"x")
        assert folder.parent == tmp_path / "new"
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_a_killed_app_left_behind_is_deleted_at_the_next_start_and_others_are_kept(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from infer.serve.uploads import own_folder\n"
        "with own_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'photo.jpg').write_bytes(b'x'); os._exit(9)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[1], check=False)
    (abandoned,) = tmp_path.glob(f"{PREFIX}*")
    assert ended.returncode == 9
    assert (abandoned / "photo.jpg").is_file()
    (tmp_path / "somebody").mkdir()
    with own_folder(tmp_path) as running:
        assert not abandoned.exists()
        with own_folder(tmp_path):
            assert running.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["somebody"]


def test_what_is_old_is_deleted_and_what_is_new_is_kept(tmp_path):
    with own_folder(tmp_path) as folder:
        for name in ("old/photo.jpg", "new/photo.jpg"):
            (folder / name).parent.mkdir()
            (folder / name).write_bytes(b"x")
        long_ago = time.time() - 3600
        for path in (folder / "old" / "photo.jpg", folder / "old", folder / ".lock"):
            os.utime(path, (long_ago, long_ago))
        assert clear_old(folder, 600) == 1
        assert sorted(path.name for path in folder.iterdir()) == [".lock", "new", "old"]
        os.utime(folder / "old", (long_ago, long_ago))
        assert clear_old(folder, 600) == 0
        assert sorted(path.name for path in folder.iterdir()) == [".lock", "new"]
