// Plays an FLV file: Ruffle runs player.swf, which opens a NetStream, and the controls of the page steer that.
"use strict";

(() => {
  const POLL_MS = 100;
  const IDLE_MS = 2500;
  // Seconds ahead that have to be loaded for it to go on, and that are waited for once it has stopped.
  const ENOUGH = 0.5;
  const PLENTY = 3;
  // Polls without a picture after which a file that has been loaded is no film; polls without a byte after which the server
  // is asked what is wrong, and after which nothing more is waited for. Ruffle tells nobody.
  const NO_FILM = 50;
  const ASK = 20;
  const GIVE_UP = 300;

  const player = document.getElementById("player");
  const part = (name) => player.querySelector(`.${name}`);
  const [playButton, muteButton, fullButton] = ["play", "mute", "expand"].map(part);
  const [seekBar, volumeBar] = ["seek", "volume"].map(part);
  const film = new URL(player.dataset.film, document.baseURI);

  let state = "new"; // loading, playing, paused, waiting, ended, error
  let ruffle = null;
  let isOpen = false;
  let duration = Number(player.dataset.duration);
  let size = 0; // bytes of the film
  let loaded = 0;
  let keys = null; // key frames: seconds and file positions
  let hasMetadata = false;
  let time = 0;
  let wantsToPlay = false;
  let runs = true;
  let target = null; // seconds where to go as soon as that is loaded
  let sought = null; // seconds where the stream was told to go
  let isShowing = false; // runs on for a moment, silently, for the picture of a place where it is paused
  let pollsWithoutPicture = 0;
  let pollsWithoutBytes = 0;
  let isDragging = false;
  let volume = 1;
  let isMuted = false;

  // What is shown

  function clock(seconds) {
    const whole = Math.floor(seconds);
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    const two = (number) => String(number).padStart(2, "0");
    return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
  }

  function setState(next) {
    if (state === next) return;
    state = next;
    player.dataset.state = next;
    part("status").textContent = { loading: "Loading", waiting: "Loading", ended: "The end" }[next] ?? "";
    wake();
    keepScreenOn(next === "playing");
  }

  function press(button, isPressed, offLabel, onLabel, key) {
    const label = isPressed ? onLabel : offLabel;
    button.setAttribute("aria-label", label);
    button.title = `${label} (${key})`;
    button.classList.toggle("pressed", isPressed);
  }

  function setWantsToPlay(wants) {
    wantsToPlay = wants;
    press(playButton, wants, "Play", "Pause", "k");
  }

  function show(seconds) {
    const place = duration ? Math.min(seconds, duration) : seconds;
    part("now").textContent = clock(place);
    seekBar.value = place;
    seekBar.style.setProperty("--done", duration ? place / duration : 0);
    seekBar.setAttribute("aria-valuetext", `${clock(place)} of ${clock(duration)}`);
    part("loaded").style.setProperty("--loaded", size ? loaded / size : 0);
  }

  function fail(text) {
    part("message").textContent = text;
    part("message").hidden = false;
    setState("error");
  }

  // Ruffle

  function start() {
    setWantsToPlay(true);
    setState("loading");
    window.RufflePlayer = { config: { polyfills: false } };
    const script = document.createElement("script");
    script.src = "ruffle/ruffle.js";
    script.onload = () => load().catch((error) => fail(`The player does not start: ${error.message ?? error}`));
    script.onerror = () => fail("The player is missing: ruffle/ruffle.js cannot be loaded.");
    document.head.append(script);
  }

  async function load() {
    const element = window.RufflePlayer.newest().createPlayer();
    part("screen").append(element);
    ruffle = element.ruffle();
    await ruffle.load({
      url: "player.swf",
      allowScriptAccess: true,
      autoplay: "on",
      backgroundColor: "#000000",
      contextMenu: "off",
      forceScale: true,
      letterbox: "off",
      openUrlMode: "deny",
      scale: "exactFit",
      splashScreen: false,
      unmuteOverlay: "hidden",
      upgradeToHttps: false,
    });
    tellVolume();
    setInterval(poll, POLL_MS);
  }

  function tell(name, ...values) {
    return ruffle.callExternalInterface(name, ...values);
  }

  function poll() {
    const now = state === "error" ? null : tell("state");
    if (!now) return;
    if (!isOpen) {
      isOpen = true;
      tell("play", film.href);
      return;
    }
    pollsWithoutBytes = now.loaded === loaded && !runs ? pollsWithoutBytes + 1 : 0;
    loaded = now.loaded;
    size = Math.max(size, now.total);
    if (now.time !== time) sought = null;
    time = now.time;
    if (!hasMetadata) readMetadata();
    steer(now.events.includes("NetStream.Play.Stop"));
    if (pollsWithoutBytes === ASK && loaded === 0) explain();
    if (pollsWithoutBytes === GIVE_UP && state === "waiting") fail("The connection was lost. Load the page again.");
    if (!isDragging) show(target ?? sought ?? time);
  }

  function readMetadata() {
    const data = tell("metadata");
    if (!data) return;
    hasMetadata = true;
    size = data.filesize ?? 0;
    if (data.duration > 0) {
      duration = data.duration;
      seekBar.max = duration;
      part("length").textContent = clock(duration);
    }
    if (data.width > 0 && data.height > 0) {
      const { style } = document.querySelector("main");
      style.setProperty("--width", data.width);
      style.setProperty("--height", data.height);
    }
    const { times, filepositions } = data.keyframes ?? {};
    if (times?.length > 0 && times.length === filepositions?.length) {
      keys = { times: [...times], positions: [...filepositions] };
    }
    if (target !== null) {
      const place = target;
      target = null;
      seek(place);
    }
  }

  // Lets it run, or wait where the film has not been loaded yet; Ruffle's clock would run on without pictures.
  function steer(hasStopped) {
    const end = loadedSeconds();
    if (target !== null && end >= target + ENOUGH) {
      // Ruffle goes on to a key frame at this time or later, or back to one at this time or earlier.
      tell("seek", target > time ? target - 0.0005 : target + 0.0005);
      sought = target;
      target = null;
      isShowing = !wantsToPlay;
      tellVolume();
    } else if (hasStopped && sought === null) {
      runs = false;
      setWantsToPlay(false);
      setState("ended");
      return;
    } else if (isShowing && sought === null) {
      isShowing = false;
      tellVolume();
    }
    if (state === "ended" && !wantsToPlay && !isShowing) return;
    const ahead = state === "playing" ? ENOUGH : PLENTY;
    const isLoaded = target === null && end >= Math.min((sought ?? time) + ahead, duration);
    const shouldRun = isLoaded && (wantsToPlay || isShowing);
    if (shouldRun !== runs) {
      tell("pause", !shouldRun);
      runs = shouldRun;
    }
    pollsWithoutPicture = shouldRun && time === 0 && end === Infinity ? pollsWithoutPicture + 1 : 0;
    if (pollsWithoutPicture > NO_FILM) fail(`The film cannot be played: ${film.href} is no FLV file.`);
    else if (!wantsToPlay) setState("paused");
    else if (!isLoaded) setState(time === 0 ? "loading" : "waiting");
    else if (time > 0) setState("playing");
  }

  // Up to where the film is there; without end if all of it is, or nobody knows.
  function loadedSeconds() {
    if (!duration || !size || loaded >= size) return loaded > 0 ? Infinity : 0;
    const { times, positions } = keys ?? { times: [0], positions: [0] };
    let last = positions.length - 1;
    while (last > 0 && positions[last] > loaded) last -= 1;
    const [nextTime, nextPosition] = [times[last + 1] ?? duration, positions[last + 1] ?? size];
    const share = Math.max(0, loaded - positions[last]) / (nextPosition - positions[last]);
    return times[last] + share * (nextTime - times[last]);
  }

  async function explain() {
    let why;
    try {
      const answer = await fetch(film, { method: "HEAD" });
      if (answer.ok) return;
      why = `the server answers ${answer.status}`;
    } catch {
      why =
        film.origin === location.origin
          ? "the server does not answer"
          : `either ${film.host} does not answer, or it does not allow ${location.origin} to read it (Access-Control-Allow-Origin)`;
    }
    if (loaded === 0) fail(`The film cannot be loaded: ${why}.`);
  }

  // What can be done

  function toggle() {
    if (state === "new") {
      start();
    } else if (state !== "error") {
      if (state === "ended") seek(0);
      setWantsToPlay(!wantsToPlay);
    }
  }

  // To the key frame that is nearest to a place, but not against the direction.
  function seek(seconds) {
    if (state === "new" || state === "error") return;
    const place = Math.min(Math.max(seconds, 0), duration || Infinity);
    const here = target ?? sought ?? time;
    if (!keys || !hasMetadata) {
      target = place;
    } else {
      const { times } = keys;
      const ahead = times.filter((key) => (place > here ? key > here + 0.1 : key < here - 1));
      const nearest = (best, key) => (Math.abs(key - place) < Math.abs(best - place) ? key : best);
      if (ahead.length > 0) target = ahead.reduce(nearest);
      else if (place < here) target = times[0];
    }
    show(target ?? sought ?? time);
  }

  function setVolume(next, mute) {
    volume = Math.min(Math.max(next, 0), 1);
    isMuted = mute;
    const shown = isMuted ? 0 : volume;
    volumeBar.value = shown;
    volumeBar.style.setProperty("--done", shown);
    volumeBar.setAttribute("aria-valuetext", `${Math.round(shown * 100)} %`);
    press(muteButton, shown === 0, "Mute", "Unmute", "m");
    tellVolume();
    try {
      localStorage.setItem("oggflv.volume", JSON.stringify([volume, isMuted]));
    } catch {
      // Then it is not remembered.
    }
  }

  function tellVolume() {
    if (ruffle) ruffle.volume = isMuted || isShowing ? 0 : volume;
  }

  function rememberedVolume() {
    try {
      const [volume, isMuted] = JSON.parse(localStorage.getItem("oggflv.volume"));
      return [Number(volume), Boolean(isMuted)];
    } catch {
      return [1, false];
    }
  }

  // Without full screen, as on some phones and in some frames, it fills the window.
  function toggleFull() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (player.classList.contains("full")) setFull(false);
    else if (player.requestFullscreen) player.requestFullscreen().catch(() => setFull(true));
    else setFull(true);
  }

  function setFull(isFull) {
    player.classList.toggle("full", isFull);
    press(fullButton, isFull, "Full screen", "Leave full screen", "f");
  }

  let idleTimer;

  function wake() {
    player.classList.remove("idle");
    clearTimeout(idleTimer);
    idleTimer = setTimeout(() => player.classList.toggle("idle", state === "playing" && !isDragging), IDLE_MS);
  }

  let screenLock = null;

  async function keepScreenOn(isWanted) {
    try {
      await screenLock?.release();
      screenLock = isWanted ? await navigator.wakeLock?.request("screen") : null;
    } catch {
      screenLock = null; // It is a courtesy.
    }
  }

  // Who does it

  const ACTIONS = {
    " ": toggle,
    k: toggle,
    ArrowLeft: () => seek((target ?? sought ?? time) - 5),
    ArrowRight: () => seek((target ?? sought ?? time) + 5),
    j: () => seek((target ?? sought ?? time) - 10),
    l: () => seek((target ?? sought ?? time) + 10),
    Home: () => seek(0),
    End: () => seek(duration),
    ArrowUp: () => setVolume(volume + 0.1, false),
    ArrowDown: () => setVolume(volume - 0.1, false),
    m: () => setVolume(volume || 1, !isMuted && volume > 0),
    f: toggleFull,
    Escape: () => player.classList.contains("full") && setFull(false),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    const isDigit = /^[0-9]$/.test(event.key);
    const action = isDigit ? () => seek((duration * Number(event.key)) / 10) : ACTIONS[event.key];
    const takesKey =
      (event.key === " " && event.target.closest("button, a, summary")) ||
      (event.target === volumeBar && /^(Arrow|Home|End)/.test(event.key));
    wake();
    if (!action || takesKey) return;
    event.preventDefault();
    action();
  });

  part("start").addEventListener("click", () => {
    toggle();
    playButton.focus({ preventScroll: true });
  });
  playButton.addEventListener("click", toggle);
  muteButton.addEventListener("click", ACTIONS.m);
  fullButton.addEventListener("click", toggleFull);
  document.addEventListener("fullscreenchange", () => setFull(document.fullscreenElement === player));
  volumeBar.addEventListener("input", () => setVolume(volumeBar.valueAsNumber, false));
  seekBar.addEventListener("input", () => {
    isDragging = true;
    show(seekBar.valueAsNumber);
  });
  seekBar.addEventListener("change", () => {
    isDragging = false;
    seek(seekBar.valueAsNumber);
  });
  // A finger calls the controls and sends them away, a mouse stops and goes on.
  part("surface").addEventListener("click", (event) => {
    if (event.pointerType !== "touch" || state === "new") toggle();
    else if (player.classList.contains("idle")) wake();
    else player.classList.toggle("idle", state === "playing");
  });
  part("surface").addEventListener("dblclick", toggleFull);
  player.addEventListener("pointermove", (event) => event.pointerType !== "touch" && wake());
  player.addEventListener("focusin", wake);

  document.documentElement.classList.toggle("embedded", window.self !== window.top);
  setVolume(...rememberedVolume());
  // index.html#t=90 begins at a minute and a half.
  const from = Number(new URLSearchParams(location.hash.slice(1)).get("t"));
  if (from > 0) target = from;
})();
