// At file:// browsers start no Web Worker, and the theme's search would find nothing.
// There the worker's script runs in a hidden frame instead; over http nothing changes.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.early = [] // messages that came before the script was there
      const frame = document.createElement("iframe")
      frame.hidden = true
      frame.onload = () => this.start(frame.contentWindow, url)
      document.body.append(frame)
    }

    start(scope, url) {
      scope.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      const script = scope.document.createElement("script")
      script.onload = () => {
        this.scope = scope
        this.early.forEach(data => this.postMessage(data))
      }
      script.src = url
      scope.document.body.append(script)
    }

    postMessage(data) {
      if (this.scope) this.scope.dispatchEvent(new MessageEvent("message", { data }))
      else this.early.push(data)
    }
  }
}
