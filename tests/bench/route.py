"""A route for programs: CPU time of the server for `/healthz` and `/user/me`, over real HTTP (wrk).

"plain" is a FastAPI route that answers the same to anybody, under `uvicorn.run` on what `pip install fastapi uvicorn`
brings (h11, asyncio's own loop); "same parts" is that on uvloop and httptools, which this app brings.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench.measure import Section, Side, cpu_of, rounds, section, wrk
from tests.bench.ours import Callers, key_server, new_token, ours, peer, side

ROUNDS = 5
NEW_TOKENS = 9_000
"""More than are remembered, so that each is new whenever it comes round again."""
GOALS = {
    "/healthz": 1.10,
    "/user/me, token seen before": 1.25,
    "/user/me, session": 1.25,
    "/user/me, new token": 1.50,
}
SCRIPT = """
local tokens, last = {}, 0
function init(args)
  for line in io.lines(args[1]) do tokens[#tokens + 1] = line end
  math.randomseed(os.time())
  last = math.random(#tokens)
end
function request()
  last = last % #tokens + 1
  wrk.headers["Authorization"] = "Bearer " .. tokens[last]
  return wrk.format("GET")
end
"""


def measure(number: int = ROUNDS) -> Section:
    with ExitStack() as stack:
        keys = stack.enter_context(key_server())
        app, parts, plain, pyjwt, cognito = (
            stack.enter_context(server)
            for server in (
                ours(),
                peer("bare"),
                peer("bare", "plain"),
                peer("pyjwkclient", "plain", JWKS_URL=keys),
                peer("fastapi-cognito", "plain", JWKS_URL=keys),
            )
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script, tokens = folder / "new.lua", folder / "tokens"
        script.write_text(SCRIPT, "utf-8")
        tokens.write_text("\n".join(new_token(str(jti)) for jti in range(NEW_TOKENS)), "utf-8")
        fresh = (str(script), str(tokens))

        def asked(server: Side, path: str, new: tuple[str, ...] = ()) -> Callable[[], float]:
            return lambda: cpu_of(server.pids, lambda: wrk(server, path, script=new))

        callers = Callers(app.port)
        nobody, token = callers.nobody(), callers.token()
        work = {
            "/healthz": {
                "this app": asked(side(app, nobody), "/healthz"),
                "plain": asked(side(plain, nobody), "/healthz"),
                "same parts": asked(side(parts, nobody), "/healthz"),
            },
            "/user/me": {
                "token seen before": asked(side(app, token), "/user/me"),
                "new token": asked(side(app, nobody), "/user/me", fresh),
                "session": asked(side(app, callers.session()), "/user/me"),
                "a person's program": asked(side(app, callers.program()), "/user/me"),
                "PyJWKClient": asked(side(pyjwt, token), "/user/me"),
                "fastapi-cognito": asked(side(cognito, token), "/user/me"),
                "plain": asked(side(plain, token), "/user/me"),
                "same parts": asked(side(parts, token), "/user/me"),
            },
        }
        taken = {path: rounds(contenders, number) for path, contenders in work.items()}
    return section(__doc__ or "", taken, limits=("plain", "same parts"), goals=GOALS)


if __name__ == "__main__":
    print(measure())
