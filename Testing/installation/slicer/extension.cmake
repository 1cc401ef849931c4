# Slicer's own files make the package here from the extension's description, which must be there and not be empty.
foreach(property HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${property}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${property} is not set")
  endif()
endforeach()
