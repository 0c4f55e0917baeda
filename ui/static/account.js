// Runs once, in the head of the main page, before its components are drawn. Says who is signed in, and makes sure that
// it stays true: the tab goes to sign in when its session has ended, and starts afresh when somebody else signed in.
(({ prefix, title, programs }) => {
  const send = window.fetch.bind(window);
  const never = new Promise(() => {}); // for callers who wait while the tab goes elsewhere
  let person; // issuer and subject of the one this tab was opened for
  let going = false;
  let asked = null;
  let doubtful = false; // somebody may have signed in or out in another tab

  function go(where) {
    if (!going) where();
    going = true;
    return never;
  }

  // What a browser keeps for an app is kept for one person: it goes when another comes. Only a digest says whose it is.
  async function isSomebodyElse(found) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(found)));
    const owner = btoa(String.fromCharCode(...digest));
    try {
      const changed = ![null, owner].includes(localStorage.getItem("account"));
      if (changed) [localStorage, sessionStorage].forEach((kept) => kept.clear());
      localStorage.setItem("account", owner);
      return changed;
    } catch {
      return false; // a browser that keeps nothing
    }
  }

  async function ask() {
    const answer = await send(`${prefix}/user/me`, { cache: "no-store" }).catch(() => null);
    if (answer?.status === 401) {
      const { error } = await answer.json().catch(() => ({}));
      const reason = error && error !== "unauthenticated" ? error : "session_ended";
      const query = new URLSearchParams({ reason, next: location.pathname + location.search });
      return go(() => location.replace(`${prefix}/login-demo/?${query}`));
    }
    if (!answer?.ok) return null; // not to be known just now
    const me = await answer.json();
    const found = JSON.stringify([me.issuer, me.subject]);
    if (!person && (await isSomebodyElse(found))) return go(() => location.reload());
    person ??= found;
    return person === found ? me : go(() => location.reload());
  }

  // Who the server takes this tab for, or null where it cannot say. Does not come back if the tab must go.
  function check() {
    asked ??= going ? never : ask().finally(() => (asked = null));
    return asked;
  }

  async function lookAgain() {
    await check();
    doubtful = !document.hasFocus();
  }

  const own = (target) => new URL(target.url ?? target, document.baseURI).origin === location.origin;

  // Lets a stream of events through. One that stops without Gradio's last word may have ended with the session.
  function watch() {
    let last;
    return new TransformStream({
      transform: (chunk, events) => events.enqueue((last = chunk)),
      flush: () => void (new TextDecoder().decode(last).includes("close_stream") || check()),
    });
  }

  window.fetch = async (target, options) => {
    const method = (options?.method ?? target.method ?? "GET").toUpperCase();
    if (doubtful && method !== "GET" && own(target)) await check();
    const answer = await send(target, options);
    if (answer.status === 401 && own(answer)) await check();
    if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) return answer;
    return new Response(answer.body.pipeThrough(watch()), answer);
  };

  addEventListener("blur", () => (doubtful = true));
  addEventListener("focus", lookAgain);
  document.addEventListener("visibilitychange", () => document.hidden || lookAgain());
  // What the browser keeps of a page that was left shows nothing, and is loaded anew when somebody comes back to it.
  addEventListener("pagehide", () => (document.documentElement.style.display = "none"));
  addEventListener("pageshow", (event) => event.persisted && location.reload());

  // -- the bar: every name is put in as text -------------------------------------------------------------------------
  function element(tag, name, ...children) {
    const made = document.createElement(tag);
    made.className = name;
    made.append(...children);
    return made;
  }

  function initials(name) {
    const words = name.replace(/@.*/, "").match(/[\p{L}\p{N}]+/gu) ?? [];
    const letters = [words[0], words.slice(1).at(-1)].map((word) => word?.match(/./u)[0] ?? "");
    return letters.join("").toLocaleUpperCase();
  }

  const who = element("p", "account-person");
  const picture = element("span", "account-picture");
  const out = element("a", "account-out", "Sign out");
  picture.ariaHidden = "true";
  out.href = `${prefix}/logout`;
  const bar = element("header", "account", element("p", "account-title", title), picture, who, out);
  document.body.prepend(bar);

  // -- room for the bar: it lines up with the app, and what the app pins to the top of the window begins below it ------
  const root = document.documentElement;
  let fitting = false;

  function fit() {
    fitting = false;
    const below = Math.max(0, bar.getBoundingClientRect().bottom);
    root.style.setProperty("--account-bar", `${below}px`);
    const main = document.querySelector(".gradio-container .main");
    const width = root.clientWidth;
    if (main) {
      const { left, right } = main.getBoundingClientRect();
      const { paddingLeft, paddingRight } = getComputedStyle(main);
      const most = Math.max(32, (width - 640) / 2 + 32); // a narrow app does not make the bar narrow
      bar.style.paddingLeft = `${Math.min(left + parseFloat(paddingLeft), most)}px`;
      bar.style.paddingRight = `${Math.min(width - right + parseFloat(paddingRight), most)}px`;
    }
    for (const part of below ? [0.01, 0.25, 0.5, 0.75, 0.99] : []) {
      for (let it of document.elementsFromPoint(width * part, below / 2)) {
        if (bar.contains(it)) continue;
        while (it && getComputedStyle(it).position !== "fixed") it = it.parentElement;
        it?.style.setProperty("margin-top", "var(--account-bar)", "important");
        it?.style.setProperty("max-height", "calc(100dvh - var(--account-bar))", "important");
      }
    }
  }

  function fitSoon() {
    if (!fitting) setTimeout(fit, 50);
    fitting = true;
  }

  new MutationObserver(fitSoon).observe(document.body, { attributes: true, childList: true, subtree: true });
  new ResizeObserver(fitSoon).observe(document.body);
  addEventListener("scroll", fitSoon, { passive: true });

  // -- leaving: what signing out deletes is said before, where there is something --------------------------------------
  function keepsSomething() {
    try {
      // An encrypted value of Gradio's that says nothing yet, such as [] or null, has 69 characters.
      return Object.entries(localStorage).some(([name, value]) => name !== "account" && value.length > 69);
    } catch {
      return false;
    }
  }

  const leave = element("a", "account-out", "Sign out");
  const stay = element("button", "account-out", "Stay");
  const question = element("p", "", "This browser keeps things for you here, such as earlier chats. Signing out deletes them.");
  const asking = element("dialog", "account account-asking", element("h2", "", "Sign out?"), question, leave, stay);
  leave.href = out.href;
  asking.ariaLabel = "Sign out?";
  stay.onclick = () => asking.close();
  out.onclick = (event) => {
    if (prefix || !keepsSomething()) return; // below a prefix other apps share what is kept, and it stays
    event.preventDefault();
    asking.showModal();
  };
  bar.append(asking);

  // What the person lets programs do is theirs to end, whichever browser they agreed in.
  if (programs) {
    const end = element("button", "account-out", "End all");
    const said = element("p", "account-said", "Programs that you let act as you here.");
    const menu = element("details", "account-programs", element("summary", "account-out", "Connected programs"), said, end);
    said.role = "status";
    end.onclick = async () => {
      const answer = await send(`${prefix}/oauth/end-all`, { method: "POST" }).catch(() => null);
      said.textContent = answer?.ok ? "All of them have been ended." : "That did not work. Please try again.";
    };
    bar.insertBefore(menu, out);
  }

  check().then((me) => {
    if (!me) return;
    const name = me.name || me.email || me.username || me.subject;
    const shown = element("bdi", "account-name", element("span", "account-hidden", "Signed in as "), name);
    shown.title = name;
    who.append(shown);
    if (me.email && me.email !== name) who.append(element("bdi", "account-email", me.email));
    picture.append(initials(name));
    if (!/^https?:\/\//.test(me.picture)) return;
    const image = new Image();
    image.alt = "";
    image.referrerPolicy = "no-referrer";
    image.onload = () => picture.replaceChildren(image); // until then, and if it fails, the initials
    image.src = me.picture;
  });
})
