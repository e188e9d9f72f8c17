"""`scenes`, the embedded data set: photo-like pictures with captions and exact masks, from a seed.

Sky, ground and things are painted in perspective with texture, shading, occlusion, weather and a
camera's flaws, so that neither a colour nor a place in the picture gives a class away; captions
name some of what is there. It is made of numpy alone and needs no download.
"""

from pgseg_core.data.scenes.classes import CLASS_NAMES, CLASSES, SceneClass
from pgseg_core.data.scenes.evaluation_set import write_evaluation_set
from pgseg_core.data.scenes.scene import Scene, render_scene, sample_scene

__all__ = [
    "CLASSES",
    "CLASS_NAMES",
    "Scene",
    "SceneClass",
    "render_scene",
    "sample_scene",
    "write_evaluation_set",
]
