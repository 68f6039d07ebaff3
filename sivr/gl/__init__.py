"""Pictures by OpenGL: arrays in, arrays out.

``farm`` is the side of the asyncio process; it starts ``worker`` processes. Everything that imports OpenGL
(``context program textures raycast``) is imported in those processes only, and lazily.
"""
