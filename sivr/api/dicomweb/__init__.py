"""Pictures as DICOM PS3.18 has them: rendered frames, volumes and planes, thumbnails."""
