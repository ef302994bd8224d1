// Shows how to open the page in a browser where this one gives no camera although the page may have it: in browsers
// of apps that the server does not know by name. Without https no browser gives one, and none would help.

const note = document.getElementById("in-app");
if (note && window.isSecureContext && !navigator.mediaDevices?.getUserMedia) note.hidden = false;
