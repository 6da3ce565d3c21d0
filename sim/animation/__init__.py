"""A film of an array at work: every register, cycle by cycle, from the register-level reference.

    from sim import animation
    film = animation.animate("tiny_4x4", "gemm:4x4x6")
    film.to_html("wave.html"); film.to_gif("wave.gif")

Reading order: `film` (what a frame shows), `folds` (`ws`, `is`, `os`) and `passes` (`rs`) that make one, `record`
(from chip and network to a film), `page` (the player) and `gif`.
"""

from sim.animation.film import Film, Frame
from sim.animation.record import animate

__all__ = ["Film", "Frame", "animate"]
