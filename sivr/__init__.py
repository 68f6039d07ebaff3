"""SIVR: seamless image and volume rendering, a teleradiology system in one package.

The house, from the door to the cellar; imports only ever go down:

- ``cli`` commands, one file each: run, init, check, demo, smoke ...
- ``roles`` wiring of the four roles: web, toplevel, institution, render
- ``edge`` the TLS listener in front of the applications
- ``api`` the HTTP edge, one file per noun; ``api/dicomweb`` the pictures of PS3.18
- ``services`` use cases: may he? do it, write it down
- ``peers`` talking HTTP to another SIVR server
- ``store`` what survives a restart: SQL, blobs, inbox, queues
- ``gl`` arrays in, pictures out: OpenGL worker processes
- ``dicom`` DICOM bytes to the model and back
- ``movie`` pictures to animated WebP and MP4
- ``codec`` arrays to PNG, JPEG, WebP
- ``kernels`` numba kernels and programs over lanes, arrays in and out
- ``crypto`` tokens, grants, passwords
- ``model`` the nouns; ``errors`` what can go wrong
- ``config`` YAML to typed structures, read by ``cli`` and ``roles`` only
- ``static`` the front end
"""

__version__ = "0.1.0"
