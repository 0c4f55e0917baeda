"""Apps in the manner of Gradio's own demos, each a file outside of this project that knows nothing of it, behind the
gate: through a browser, and through gradio_client."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Page, expect

from auth.local.cognito import CLIENT_ID, CLIENT_SECRET
from tests.browser.conftest import Enter
from tests.support.app_server import AppServer
from tests.support.own_file import process_as_before

DEMOS = Path(__file__).parents[1] / "demos"


class Demo:
    """A demo that is served.

    Attributes:
        tab: where somebody has opened it.
        client: a program's.
        http: the same program's, for plain requests below `/gradio`.
    """

    def __init__(self, server: AppServer, tab: Page, folder: Path) -> None:
        self.server = server
        self.tab = tab
        self.folder = folder
        answer = httpx2.post(
            f"{server.url}/local/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(CLIENT_ID, CLIENT_SECRET),
        )
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        self.http = httpx2.Client(base_url=f"{server.url}/gradio", headers=headers, trust_env=False)
        self.client = Client(
            f"{server.url}/gradio/", headers=headers, verbose=False, analytics_enabled=False, download_files=folder
        )

    def presses(self, name: str) -> None:
        self.tab.get_by_role("button", name=name, exact=True).click()

    def types(self, label: str, text: str) -> None:
        box = self.tab.get_by_label(label, exact=True)
        box.fill(text)
        box.press("Enter")

    def reads(self, label: str, text: str | re.Pattern[str]) -> None:
        expect(self.tab.get_by_label(label, exact=True)).to_have_value(text)

    def kept(self) -> int:
        """Characters that the browser keeps for the app."""
        return len(self.tab.evaluate("JSON.stringify(localStorage)"))

    def keeps_more_than(self, kept: int) -> int:
        self.tab.wait_for_function("kept => JSON.stringify(localStorage).length > kept", arg=kept)
        return self.kept()

    def says(self, message: str, *, box: str = "textarea") -> None:
        """In a chat, once what an answer changes in the page has been changed."""
        self.tab.wait_for_timeout(500)
        self.tab.locator(box).last.fill(message)
        self.tab.locator(box).last.press("Enter")


Opens = Callable[..., Demo]


@pytest.fixture
def opens(enter: Enter, tmp_path: Path) -> Iterator[Opens]:
    """Serves a demo by its name, from a copy elsewhere, and has somebody open it."""
    with process_as_before(), ExitStack() as stack:

        def opens(name: str, path: str = "/gradio/", **settings: Any) -> Demo:
            folder = Path(shutil.copytree(DEMOS, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")))
            server = stack.enter_context(AppServer({}, blocks=str(folder / f"{name}.py"), **settings))
            tab = enter(server).enters(path=path)
            expect(tab.locator("gradio-app .gradio-container")).to_be_visible()
            demo = Demo(server, tab, folder)
            stack.callback(demo.client.close)
            stack.callback(demo.http.close)
            stack.callback(tab.close)  # before the server is gone
            return demo

        yield opens


def test_every_demo_is_opened_here() -> None:
    named = set(re.findall(r'opens\("(\w+)"', Path(__file__).read_text("utf-8")))
    assert named == {path.stem for path in DEMOS.glob("*.py")}


# -- chats -----------------------------------------------------------------------------------------------------------


def test_a_chat_streams_and_keeps_its_history(opens: Opens) -> None:
    demo = opens("chat")
    kept = demo.kept()
    demo.says("hello")
    expect(demo.tab.get_by_text("You said: hello (0 before)")).to_be_visible()
    kept = demo.keeps_more_than(kept)
    demo.says("again")
    expect(demo.tab.get_by_text("You said: again (2 before)")).to_be_visible()
    demo.keeps_more_than(kept)
    demo.tab.reload()
    demo.tab.get_by_role("gridcell", name="hello").click()
    expect(demo.tab.get_by_text("You said: again (2 before)")).to_be_visible()
    job = demo.client.submit("ho", api_name="/answer")
    assert job.result().strip() == "You said: ho (0 before)"
    assert len(job.outputs()) > 3


def test_a_chat_with_pictures_keeps_them_in_its_history(opens: Opens) -> None:
    demo = opens("multimodal_chat")
    picture = demo.folder / "look.png"
    demo.tab.locator("input[type=file]").first.set_input_files(picture)
    demo.says("see")
    expect(demo.tab.get_by_text("see: look.png")).to_be_visible()
    answered = demo.tab.locator(".bot img[src*='file=']").first
    expect(answered).to_be_visible()
    demo.says("more")
    expect(demo.tab.get_by_text("more: no files")).to_be_visible()
    demo.tab.reload()
    demo.tab.get_by_role("gridcell", name="see").click()
    expect(answered).to_be_visible()
    demo.tab.wait_for_function("() => document.querySelector(\".bot img[src*='file=']\").naturalWidth == 20")
    answer = demo.client.predict({"text": "you", "files": [handle_file(picture)]}, api_name="/answer")
    assert "you: look.png" in json.dumps(answer)


# -- examples, drawings, sound, moving pictures ----------------------------------------------------------------------


def test_an_interface_has_its_examples_ready(opens: Opens, capfd: pytest.CaptureFixture[str]) -> None:
    demo = opens("interface")
    demo.tab.get_by_role("gridcell", name="hello").click()
    demo.reads("Shouted", "HELLO!HELLO!")
    assert demo.client.predict("no", 2, api_name="/shout") == "NO!NO!"
    mine = [one.laddr.port for one in psutil.Process().net_connections("inet") if one.status == psutil.CONN_LISTEN]
    assert 7860 not in mine


def test_what_is_drawn_comes_back(opens: Opens) -> None:
    demo = opens("image_editor")
    canvas = demo.tab.locator("canvas").first
    expect(canvas).to_be_visible()
    demo.tab.get_by_role("button", name="Brush").or_(demo.tab.get_by_label("Brush", exact=False)).first.click()
    box = canvas.bounding_box()
    assert box
    demo.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    demo.tab.mouse.down()
    demo.tab.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2 + 30, steps=5)
    demo.tab.mouse.up()
    demo.presses("Look")
    demo.reads("Layers", "1 layers")
    expect(demo.tab.locator("img[src*='file=']").first).to_be_visible()
    drawing = handle_file(demo.folder / "look.png")
    shown, said = demo.client.predict(
        {"background": drawing, "layers": [], "composite": drawing, "id": None}, api_name="/look"
    )
    with Image.open(shown) as image:
        assert (image.size, said) == ((192, 192), "0 layers")


def test_sound_is_streamed(opens: Opens) -> None:
    demo = opens("audio_stream")
    with demo.tab.expect_response(re.compile(r"/stream/.*\.aac")) as segment:
        demo.presses("Play")
    assert segment.value.ok
    assert segment.value.body()
    assert demo.client.predict(api_name="/tones")


def test_a_video_is_streamed(opens: Opens) -> None:
    demo = opens("video_stream")
    with demo.tab.expect_response(re.compile(r"/stream/.*\.ts")) as segment:
        demo.presses("Play")
    assert segment.value.ok
    assert segment.value.body()[:1] == b"G"  # an MPEG-TS packet


# -- pages and what is kept ------------------------------------------------------------------------------------------


def test_what_is_rendered_has_its_events(opens: Opens) -> None:
    demo = opens("render")
    demo.types("Box 1", "one")
    demo.reads("Last", "1: one")
    demo.tab.get_by_label("number input for Boxes").fill("3")
    demo.tab.get_by_label("number input for Boxes").press("Enter")
    demo.types("Box 2", "two")
    demo.reads("Last", "2: two")


def test_each_page_has_its_address(opens: Opens) -> None:
    demo = opens("pages")
    demo.types("Name", "Ada")
    demo.reads("Greeting", "Hello, Ada")
    demo.tab.get_by_role("link", name="Second").click()
    expect(demo.tab).to_have_url(f"{demo.server.url}/gradio/second")
    demo.types("Number", "4")
    demo.reads("Double", "8")
    demo.tab.goto(f"{demo.server.url}/gradio/second/?x=1")
    expect(demo.tab).to_have_url(f"{demo.server.url}/gradio/second?x=1")
    expect(demo.tab.get_by_label("Number", exact=True)).to_be_visible()
    assert demo.client.predict("Bob", api_name="/greet") == "Hello, Bob"
    assert demo.client.predict(5, api_name="/double") == 10


def test_a_state_is_kept_for_a_tab(opens: Opens) -> None:
    demo = opens("state")
    demo.types("Item", "a")
    demo.reads("Kept", "a")
    demo.types("Item", "b")
    demo.reads("Kept", "a, b")
    assert [demo.client.predict(item, api_name="/add") for item in "xy"] == ["x", "x, y"]


def test_files_go_up_and_come_down(opens: Opens) -> None:
    demo = opens("files")
    text = demo.folder / "given.txt"
    text.write_text("words")
    demo.tab.locator("input[type=file]").first.set_input_files(text)
    with demo.tab.expect_download() as download:
        demo.tab.get_by_role("button", name="Download", exact=True).click()
    assert download.value.path().read_text() == "WORDS"
    made, _ = demo.client.predict(handle_file(text), api_name="/upper")
    assert Path(made).read_text() == "WORDS"


def test_a_browser_remembers(opens: Opens) -> None:
    demo = opens("browser_state")
    demo.tab.wait_for_timeout(1000)  # the event of the load empties the box
    demo.types("Word", "kept")
    expect(demo.tab.locator(".progress-text, .generating")).to_have_count(0)
    demo.tab.wait_for_function("localStorage.getItem('demo')")
    demo.tab.reload()
    demo.reads("Word", "kept")


def test_time_and_work_go_on(opens: Opens) -> None:
    demo = opens("progress")
    demo.presses("Work")
    expect(demo.tab.get_by_text("Working").first).to_be_visible()
    demo.reads("Result", "done")
    demo.reads("Ticks", re.compile("[3-9]"))
    job = demo.client.submit(api_name="/work")
    assert job.result() == "done"


def test_plots_and_a_table(opens: Opens) -> None:
    demo = opens("plots")
    expect(demo.tab.locator("img[alt*='plot' i], img[src^='data:image']").first).to_be_visible()
    expect(demo.tab.locator(".js-plotly-plot").first).to_be_visible()
    expect(demo.tab.get_by_text("Tue").first).to_be_visible()
    table, *_ = demo.client.predict(5, api_name="/draw")
    assert table["data"] == [["Tue", 12], ["Wed", 7]]


# -- arguments of launch() -------------------------------------------------------------------------------------------


def test_the_look_is_the_app_s(opens: Opens) -> None:
    demo = opens("look")
    words = demo.tab.locator("#words p")
    expect(words).to_have_css("letter-spacing", "3px")
    expect(words).to_have_css("color", "rgb(0, 128, 128)")
    expect(words).to_have_css("font-family", re.compile("serif"))
    expect(demo.tab.locator("body")).to_have_attribute("data-js", "ran")
    expect(demo.tab.locator("meta[name=color]")).to_have_attribute("content", "teal")
    expect(demo.tab.locator("meta[name=from-a-file]")).to_have_attribute("content", "yes")
    expect(demo.tab.get_by_role("button", name="Settings")).to_be_visible()
    expect(demo.tab.get_by_role("link", name="Sign out")).to_be_visible()
    icon = httpx2.get(f"{demo.server.url}/favicon.ico", trust_env=False)
    assert icon.headers["content-type"] == "image/png"
    assert icon.content == (demo.folder / "look.png").read_bytes()


def test_labels_are_translated(opens: Opens, enter: Enter) -> None:
    demo = opens("translations")
    expect(demo.tab.get_by_text("Good morning")).to_be_visible()


def test_a_browser_can_install_it(opens: Opens) -> None:
    demo = opens("web_app")
    found = demo.tab.context.new_cdp_session(demo.tab).send("Page.getAppManifest")
    manifest = json.loads(found["data"])
    assert not found["errors"]
    assert manifest["name"] == "To keep"
    assert manifest["start_url"] == "/gradio/"
    (icon,) = manifest["icons"]
    assert (
        httpx2.get(f"{demo.server.url}{icon['src']}", trust_env=False).content
        == (demo.folder / "look.png").read_bytes()
    )


def test_a_function_for_programs_is_a_tool_too(opens: Opens) -> None:
    demo = opens("endpoints")
    assert demo.client.predict(2, 3, api_name="/add") == 5
    (tool,) = demo.http.get("/gradio_api/mcp/schema").json()
    assert tool["name"].endswith("add")
    expect(demo.tab.get_by_text("For programs")).to_be_visible()


def test_a_deep_link_shows_what_somebody_made(opens: Opens) -> None:
    demo = opens("deep_link")
    demo.types("Word", "ho")
    demo.reads("Twice", "hoho")
    demo.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with demo.tab.expect_response(re.compile("gradio_api/deep_link")) as made:
        demo.tab.get_by_role("button", name=re.compile("Share")).click()
    demo.tab.goto(f"{demo.server.url}/gradio/?deep_link={made.value.json()}")
    demo.reads("Twice", "hoho")


def test_of_a_folder_what_is_blocked_stays_closed_and_a_big_file_is_refused(opens: Opens) -> None:
    demo = opens("paths")
    assert demo.http.get(f"/gradio_api/file={demo.folder}/shelf/open.txt").text == "open"
    for closed in ("shelf/closed.txt", "paths.py", "chat.py"):
        assert demo.http.get(f"/gradio_api/file={demo.folder}/{closed}").status_code in (403, 404), closed
    for size, status in ((900, 200), (2000, 413)):
        assert demo.http.post("/gradio_api/upload", files={"files": b"x" * size}).status_code == status
    demo.tab.get_by_role("link", name="Read").click()
    expect(demo.tab.get_by_text("open")).to_be_visible()


def test_no_more_run_at_a_time_than_may(opens: Opens) -> None:
    demo = opens("concurrency")
    with ThreadPoolExecutor(5) as pool:
        for kind, most in {"two": 2, "one": 1}.items():
            runs = [pool.submit(demo.client.predict, api_name=f"/{kind}") for _ in range(5)]
            assert max(run.result() for run in runs) == most
    demo.presses("Two")
    demo.reads("Two", "2")


def test_tabs_hold_an_interface_each(opens: Opens) -> None:
    demo = opens("tabbed")
    demo.tab.get_by_role("tab", name="Bye").click()
    panel = demo.tab.get_by_role("tabpanel").filter(visible=True)
    panel.get_by_label("name", exact=True).fill("Ada")
    panel.get_by_role("button", name="Submit").click()
    expect(panel.get_by_label("output", exact=True)).to_have_value("Bye, Ada")
    assert demo.client.predict("Bob", api_name="/hello") == "Hello, Bob"


def test_a_component_that_others_wrote(opens: Opens) -> None:
    demo = opens("custom_component")
    expect(demo.tab.locator("canvas").first).to_be_visible()
    demo.presses("Look")
    expect(demo.tab.get_by_text("xmin").first).to_be_visible()
    (address,) = {
        entry
        for entry in demo.tab.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
        if "/custom_component/" in entry and entry.endswith("component/index.js")
    }
    missing = demo.tab.goto(address.replace("index.js", "nothing.js"))
    assert missing and missing.status == 404
    expect(demo.tab.get_by_role("heading", name="Not found")).to_be_visible()


def test_an_app_made_for_a_space_knows_who_is_signed_in(opens: Opens) -> None:
    demo = opens("signed_in")
    demo.reads("Greeting", re.compile(r"Hello, Ada Lovelace \(.+\)"))
    demo.presses("Strict")
    demo.reads("Strict", "Ada Lovelace")
    assert CLIENT_ID in demo.client.predict(api_name="/greet")
    demo.tab.get_by_role("button", name=re.compile("^Logout")).click()
    expect(demo.tab.get_by_role("heading", name="You are signed out")).to_be_visible()


def test_whoever_meets_a_fault_reads_a_sentence_and_an_id_that_is_in_the_log(
    opens: Opens, caplog: pytest.LogCaptureFixture
) -> None:
    demo = opens("faults")
    demo.presses("Fail")
    sentence = demo.tab.get_by_text(re.compile("It has been logged as"))
    expect(sentence).to_be_visible()
    request_id = sentence.inner_text().rstrip(".").rpartition(" ")[2]
    (line,) = [one for one in caplog.records if getattr(one, "about", {}).get("request_id") == request_id]
    assert line.exc_info and "the shelf is empty" in str(line.exc_info[1])
    with pytest.raises(AppError, match="It has been logged as"):
        demo.client.predict(api_name="/fail")
    answer = demo.http.post("/gradio_api/run/fail_at_once", json={"data": []})
    assert answer.status_code == 500
    assert answer.json()["error"].endswith(f"logged as {answer.headers['x-request-id']}.")


def test_a_fault_is_shown_where_the_app_asks_for_it(opens: Opens) -> None:
    demo = opens("faults_shown")
    demo.presses("Fail")
    expect(demo.tab.get_by_text("the shelf is empty").first).to_be_visible()


def test_an_address_that_is_none_is_a_page_for_people(opens: Opens) -> None:
    demo = opens("tabbed")
    for path in ("nothing", "second/", "gradio_api/nothing", "gradio_api/custom_component/x/client/component/y.js"):
        answer = demo.tab.goto(f"{demo.server.url}/gradio/{path}")
        assert answer and answer.status == 404, path
        expect(demo.tab.get_by_role("heading", name="Not found")).to_be_visible()
