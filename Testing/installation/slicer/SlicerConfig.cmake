# Stands in for the package of a Slicer build: it installs what the extension's CMakeLists.txt files list, to where
# Slicer would install it.
if(NOT DEFINED Slicer_REQUIRED_PYTHON_VERSION)
  set(Slicer_REQUIRED_PYTHON_VERSION "3.12.10")
endif()
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake)
