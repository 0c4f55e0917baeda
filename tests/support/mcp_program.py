"""An MCP client of the official Python SDK, first or second line of releases, given nothing but an address.

    python mcp_program.py ADDRESS

Says on stdout, one JSON object a line, what happens: `{"open": URL}` where it wants the person's browser, `{"tools":
[...]}`, `{"said": TEXT}`, `{"failed": WHY}`. Does what it is told on stdin: `call`, `renew and call`, `end`.
"""

import asyncio
import json
import sys
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

IS_FIRST_LINE = version("mcp").startswith("1.")
if IS_FIRST_LINE:
    from httpx import AsyncClient
else:
    from httpx2 import AsyncClient
    from mcp.shared.auth import AuthorizationCodeResult


def tell(**event):
    print(json.dumps(event), flush=True)


class Storage:
    tokens = client_info = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client_info

    async def set_client_info(self, client_info):
        self.client_info = client_info


class Callback:
    """Where the browser comes back to, on this machine."""

    async def start(self):
        self.answers = asyncio.Queue()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"
        self._server = server

    async def _answer(self, reader, writer):
        path = (await reader.readline()).split()[1].decode()
        while (await reader.readline()).strip():
            pass
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nDone")
        await writer.drain()
        writer.close()
        if path.startswith("/callback"):
            await self.answers.put({name: values[0] for name, values in parse_qs(urlsplit(path).query).items()})

    async def wait(self):
        said = await self.answers.get()
        if IS_FIRST_LINE:
            return said["code"], said.get("state")
        return AuthorizationCodeResult(code=said["code"], state=said.get("state"), iss=said.get("iss"))


async def open_browser(url):
    tell(open=url)


async def line():
    return (await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)).strip()


async def main(address):
    callback = Callback()
    await callback.start()
    provider = OAuthClientProvider(
        address,
        OAuthClientMetadata(client_name=f"Python {version('mcp')}", redirect_uris=[callback.address]),
        Storage(),
        open_browser,
        callback.wait,
    )
    async with (
        AsyncClient(auth=provider, timeout=30) as http,
        streamable_http_client(address, http_client=http) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        tell(tools=[tool.name for tool in (await session.list_tools()).tools])
        while (told := await line()) not in ("", "end"):
            if told == "renew and call":
                provider.context.token_expiry_time = 1.0
            try:
                result = await asyncio.wait_for(session.call_tool("greet", {}), 20)
                tell(said=result.content[0].text)
            except Exception as error:
                tell(failed=repr(error))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
